import { RlkitError } from "../errors.ts";
import { checkIdMaps, checkWithoutRanges, type IdMapFacts } from "../idmap/check.ts";
import { extents, type IdMap, insideOuterMap, planIdMap } from "../idmap/map.ts";
import { type AllowedIds, parseMapOption, refusedEntry } from "../idmap/map-option.ts";
import type { IdKind } from "../idmap/source.ts";
import { toError } from "../idmap/verdict.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { StepOf } from "./steps.ts";

type MapOptions = Pick<RunOptions, "uidMap" | "gidMap">;

/** The step that writes both id maps: the ones asked for, or own id to 0 and the delegated ranges after it. */
export function idMaps(options: MapOptions, facts: IdMapFacts): StepOf<"write-id-maps"> {
  // A map of one's own may do with the own id alone: then what is delegated, or not, is checked entry by entry.
  const custom = options.uidMap.length > 0;
  const delegated = { uid: delegatedIds("uid", facts), gid: delegatedIds("gid", facts) };
  if (custom && facts.user.uid === 0) {
    const maps = customMaps(options, { uid: existingIds("uid", facts), gid: existingIds("gid", facts) });
    const isRefused = refusedEntry(maps.uid, delegated.uid) ?? refusedEntry(maps.gid, delegated.gid);
    // newuidmap makes no exception for root, who needs it for nothing.
    if (isRefused) return { do: "write-id-maps", ...maps, tools: undefined, why: "root may map all ids by itself" };
  }
  const verdicts = custom ? checkWithoutRanges(facts) : checkIdMaps(facts);
  const obstacle = verdicts.find(({ severity }) => severity === "error");
  if (obstacle !== undefined) throw toError(obstacle);
  const { newuidmap, newgidmap } = facts;
  if (newuidmap === undefined || newgidmap === undefined) {
    throw new RlkitError("IDMAP_TOOL", "newuidmap or newgidmap is not on PATH");
  }
  const planned = ({ ownId, ranges }: AllowedIds): IdMap => planIdMap(ownId, ranges);
  return {
    do: "write-id-maps",
    ...(custom ? customMaps(options, delegated) : { uid: planned(delegated.uid), gid: planned(delegated.gid) }),
    tools: { newuidmap: newuidmap.path, newgidmap: newgidmap.path },
    why: custom
      ? "the ids inside, and which ones they are outside"
      : "root inside is you outside; the other ids are the ones delegated to you",
  };
}

const customMaps = ({ uidMap, gidMap }: MapOptions, { uid, gid }: Record<IdKind, AllowedIds>) => ({
  uid: parseMapOption("--uid-map", uidMap, uid),
  gid: parseMapOption("--gid-map", gidMap, gid),
});

const ownIdOf = (kind: IdKind, { user }: IdMapFacts): number => (kind === "uid" ? user.uid : user.gid);

function delegatedIds(kind: IdKind, facts: IdMapFacts): AllowedIds {
  const { delegated, outer } = facts.ids[kind];
  return { ownId: ownIdOf(kind, facts), ranges: insideOuterMap(delegated.ranges, outer) };
}

/** All that exist here. */
const existingIds = (kind: IdKind, facts: IdMapFacts): AllowedIds => ({
  ownId: ownIdOf(kind, facts),
  ranges: extents(facts.ids[kind].outer),
});
