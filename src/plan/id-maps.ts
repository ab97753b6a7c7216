import { RlkitError } from "../errors.ts";
import { checkIdMaps, checkWithoutRanges, type IdMapFacts } from "../idmap/check.ts";
import { type IdMap, insideOuterMap, planIdMap } from "../idmap/map.ts";
import { parseMapOption } from "../idmap/map-option.ts";
import { toError } from "../idmap/verdict.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { StepOf } from "./steps.ts";

/** The step that writes both id maps: the ones asked for, or own id to 0 and the delegated ranges after it. */
export function idMaps(options: Pick<RunOptions, "uidMap" | "gidMap">, facts: IdMapFacts): StepOf<"write-id-maps"> {
  // A map of one's own may do with the own id alone: then what is delegated, or not, is checked entry by entry.
  const custom = options.uidMap.length > 0;
  const verdicts = custom ? checkWithoutRanges(facts) : checkIdMaps(facts);
  const obstacle = verdicts.find(({ severity }) => severity === "error");
  if (obstacle !== undefined) throw toError(obstacle);
  const { newuidmap, newgidmap, ids, user } = facts;
  if (newuidmap === undefined || newgidmap === undefined) {
    throw new RlkitError("IDMAP_TOOL", "newuidmap or newgidmap is not on PATH");
  }
  const map = (option: string, values: readonly string[], kind: "uid" | "gid", ownId: number): IdMap => {
    const ranges = insideOuterMap(ids[kind].delegated.ranges, ids[kind].outer);
    return values.length > 0 ? parseMapOption(option, values, { ownId, ranges }) : planIdMap(ownId, ranges);
  };
  return {
    do: "write-id-maps",
    uid: map("--uid-map", options.uidMap, "uid", user.uid),
    gid: map("--gid-map", options.gidMap, "gid", user.gid),
    newuidmap: newuidmap.path,
    newgidmap: newgidmap.path,
    why: "root inside is you outside; the other ids are the ones delegated to you",
  };
}
