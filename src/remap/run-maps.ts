import { RlkitError } from "../errors.ts";
import { currentUser, hostIo } from "../host/idmap-facts.ts";
import { extents, type IdMap, parseIdMap } from "../idmap/map.ts";
import { type AllowedIds, allowedHint, refusedEntry } from "../idmap/map-option.ts";
import { formatRange } from "../idmap/ranges.ts";
import { type IdKind, readDelegation, type SubidIo, type SubidSource, subidFile } from "../idmap/source.ts";
import { describeUser, type User } from "../idmap/user.ts";
import type { RunOptions } from "../options/run-options.ts";
import { findRemapIdentity, parseRemapSpec } from "./identity.ts";
import { asOption, idKinds, remapMaps } from "./maps.ts";

/** Both maps of `--map=remap:…`, as `--uid-map` and `--gid-map` take them, for the user who asks. */
export interface RunMaps {
  uidMap: readonly string[];
  gidMap: readonly string[];
}

/**
 * The maps that containers get with this value of userns-remap, if `caller` may have them: root, or whom every range is delegated
 * to. Throws IDMAP_OPTION with the first range that is not, and what findRemapIdentity and remapMaps throw.
 */
export function runMaps(value: string, caller: User, source: SubidSource, io: SubidIo): RunMaps {
  const { user } = findRemapIdentity(parseRemapSpec(value), io);
  const { maps } = remapMaps(user, io);
  const mayMap = allowed(caller, source, io);
  for (const kind of idKinds) refuse(kind, maps[kind], `--map=remap:${value}`, caller, mayMap[kind]);
  return { uidMap: asOption(maps.uid), gidMap: asOption(maps.gid) };
}

/** What the caller can map: for root all ids that exist here. */
function allowed(caller: User, source: SubidSource, io: SubidIo): Record<IdKind, AllowedIds> {
  if (caller.uid === 0) {
    const all = (kind: IdKind): AllowedIds => ({
      ownId: 0,
      ranges: extents(parseIdMap(io.readFile(`/proc/self/${kind}_map`))),
    });
    return { uid: all("uid"), gid: all("gid") };
  }
  const { uid, gid } = readDelegation(source, caller, io);
  return { uid: { ownId: caller.uid, ranges: uid.ranges }, gid: { ownId: caller.gid, ranges: gid.ranges } };
}

function refuse(kind: IdKind, map: IdMap, option: string, caller: User, mayMap: AllowedIds): void {
  const entry = refusedEntry(map, mayMap);
  if (entry === undefined) return;
  const range = `${kind}s ${formatRange({ start: entry.outside, length: entry.length })}`;
  const why = caller.uid === 0 ? "do not exist in this user namespace" : `are not delegated to ${describeUser(caller)}`;
  throw new RlkitError("IDMAP_OPTION", `${option}: ${range} of ${subidFile(kind)} ${why}`, {
    hint: `run it as root or as a user who has them; ${allowedHint(mayMap)}`,
  });
}

/** The options with the maps that `--map` stands for. */
export function withRemap(options: RunOptions): RunOptions {
  if (options.remap === undefined) return options;
  const maps = runMaps(options.remap, currentUser(), options.subidSource, hostIo(options.env));
  return Object.freeze({ ...options, ...maps });
}
