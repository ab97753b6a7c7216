import { RlkitError } from "../errors.ts";
import { formatIdMap, type IdMap, remapIdMap } from "../idmap/map.ts";
import { formatRange, intersect } from "../idmap/ranges.ts";
import { type IdKind, readIfThere, subidFile } from "../idmap/source.ts";
import { ownEntries, type SubidEntry } from "../idmap/subid-file.ts";
import { describeUser, type User } from "../idmap/user.ts";
import type { AccountIo } from "./identity.ts";

/** The maps of a container, and the lines that they are made of. */
export interface RemapMaps {
  maps: Record<IdKind, IdMap>;
  entries: Record<IdKind, readonly SubidEntry[]>;
}

export const idKinds: readonly IdKind[] = ["uid", "gid"];

/**
 * The user's lines of a file in its order, whether they name the user or the uid. In /etc/subgid, too, the lines are the user's
 * and not a group's (since Docker 20.10, and in subgid(5) always). dockerd reads the files alone, whatever nsswitch.conf says.
 * Throws SUBID_FILE for a malformed line of the user's.
 */
export function remapEntries(kind: IdKind, { name, uid }: User & { name: string }, io: AccountIo): SubidEntry[] {
  const path = subidFile(kind);
  return ownEntries(path, readIfThere(io, path) ?? "", [name, String(uid)]);
}

/** The first ids that two of the lines both have. */
export function doubled(entries: readonly SubidEntry[]): { ids: string; lines: readonly [number, number] } | undefined {
  for (const [index, entry] of entries.entries()) {
    for (const earlier of entries.slice(0, index)) {
      const common = intersect(earlier, entry);
      if (common) return { ids: formatRange(common), lines: [earlier.line, entry.line] };
    }
  }
  return undefined;
}

/** The uid under which some of a user's lines stand, and not all. */
export const isMixed = (entries: readonly SubidEntry[]): boolean => new Set(entries.map(({ owner }) => owner)).size > 1;

/**
 * The maps of dockerd's containers with this user: all of its ranges, from 0 on. Throws SUBID_NONE where it has none, and IDMAP_FAILED
 * for ranges that overlap: dockerd takes them as they are, and the kernel then refuses the map.
 */
export function remapMaps(user: User & { name: string }, io: AccountIo): RemapMaps {
  const entries = { uid: remapEntries("uid", user, io), gid: remapEntries("gid", user, io) };
  const mapOf = (kind: IdKind): IdMap => {
    const file = subidFile(kind);
    if (entries[kind].length === 0) {
      throw new RlkitError("SUBID_NONE", `${describeUser(user)} has no subordinate ${kind}s in ${file}`, {
        hint: `rlkit remap check ${user.name} prints the line that delegates some`,
      });
    }
    const twice = doubled(entries[kind]);
    if (twice === undefined) return remapIdMap(entries[kind]);
    const text = `${file} lines ${twice.lines.join(" and ")} both give ${kind}s ${twice.ids} to ${describeUser(user)}`;
    throw new RlkitError("IDMAP_FAILED", `${text}: the kernel refuses the map, and no container starts`, {
      hint: `correct one of the two lines in ${file}`,
    });
  };
  return { maps: { uid: mapOf("uid"), gid: mapOf("gid") }, entries };
}

/** A map as `--uid-map` and `--gid-map` take it. */
export const asOption = (map: IdMap): string[] => formatIdMap(map).trim().replaceAll(" ", ":").split("\n");
