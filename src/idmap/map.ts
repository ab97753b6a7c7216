import { type IdRange, intersect, withoutId, withoutOverlaps } from "./ranges.ts";

/** A line of /proc/PID/uid_map: ids from `inside` on in the namespace are ids from `outside` on in its parent. */
export interface IdMapEntry {
  inside: number;
  outside: number;
  length: number;
}

/** See user_namespaces(7). */
export type IdMap = readonly IdMapEntry[];

function consecutive(ranges: readonly IdRange[], from: number): IdMap {
  let inside = from;
  return ranges.map(({ start, length }) => {
    const entry = { inside, outside: start, length };
    inside += length;
    return entry;
  });
}

/**
 * The map of a rootless user, as RootlessKit computes it: 0 is the user, whose id outside is `ownId`; from 1 on come the
 * delegated ranges in their order. The user's own id, or one that is delegated twice, would make the kernel refuse the whole
 * map (EINVAL), so each is mapped once.
 */
export function planIdMap(ownId: number, ranges: readonly IdRange[]): IdMap {
  return [{ inside: 0, outside: ownId, length: 1 }, ...consecutive(withoutId(withoutOverlaps(ranges), ownId), 1)];
}

/** The map that dockerd's userns-remap computes for a user: the delegated ranges alone, from 0 on. */
export function remapIdMap(ranges: readonly IdRange[]): IdMap {
  return consecutive(withoutOverlaps(ranges), 0);
}

/** The ids that exist in a user namespace with this map, lowest first, one range for each line. */
export function extents(map: IdMap): IdRange[] {
  return map.map(({ inside, length }) => ({ start: inside, length })).sort((a, b) => a.start - b.start);
}

/**
 * What of `ranges` can be mapped by a process that is itself in a user namespace with the map `outer` (/proc/self/uid_map): only
 * ids that exist there, and the kernel wants each new line within one line of `outer`, so ranges are split where those end.
 */
export function insideOuterMap(ranges: readonly IdRange[], outer: IdMap): IdRange[] {
  const there = extents(outer);
  return ranges.flatMap((range) => there.flatMap((extent) => intersect(range, extent) ?? []));
}

/** The map as newuidmap(1) takes it after the pid: inside, outside, count of each entry. */
export function toArguments(map: IdMap): string[] {
  return map.flatMap(({ inside, outside, length }) => [String(inside), String(outside), String(length)]);
}

/** The map as it is written to /proc/PID/uid_map, one line for each entry. */
export function formatIdMap(map: IdMap): string {
  return map.map(({ inside, outside, length }) => `${inside} ${outside} ${length}\n`).join("");
}

/** The map in the text of /proc/PID/uid_map or gid_map. Empty if none has been written. */
export function parseIdMap(text: string): IdMap {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [inside = Number.NaN, outside = Number.NaN, length = Number.NaN] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, length };
    });
}

const MAX_ENTRIES = 340;
const PAGE_SIZE = 4096;

/**
 * Whether the kernel takes a map of this size: at most 340 lines, in one write of less than a page (user_namespaces(7); kernels
 * before 4.15 took 5 lines). Pages of more than 4 KiB are not counted on.
 */
export function fitsKernel(map: IdMap): boolean {
  return map.length <= MAX_ENTRIES && formatIdMap(map).length < PAGE_SIZE;
}
