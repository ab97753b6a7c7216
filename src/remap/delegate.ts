import type { Machine } from "../check/machine.ts";
import { extents, parseIdMap } from "../idmap/map.ts";
import { freeRange, ID_LIMIT, type IdRange, subtract, total } from "../idmap/ranges.ts";
import { type IdKind, subidFile } from "../idmap/source.ts";
import { parseSubidFile } from "../idmap/subid-file.ts";
import { shellWord } from "../idmap/verdict.ts";
import { idKinds } from "./maps.ts";

/** What images expect: Debian's nobody is 65534. useradd(8) delegates as many. */
const ENOUGH = 65536;

const ALL = "0 0 4294967295\n";

/** /proc/self/uid_map or gid_map: the ids that exist where dockerd runs. */
export const outerMap = (kind: IdKind, { read }: Machine) => parseIdMap(read(`/proc/self/${kind}_map`) ?? ALL);

/** Names and ids in /etc/passwd or /etc/group. */
export function realIds(kind: IdKind, { read }: Machine): { name: string; id: number }[] {
  const lines = (read(kind === "uid" ? "/etc/passwd" : "/etc/group") ?? "").split("\n");
  return lines.flatMap((line) => {
    const [name, , id] = line.split(":");
    return name && id ? [{ name, id: Number(id) }] : [];
  });
}

/** Ids in a row that exist, and that neither a line of the sub-id files nor a user or group has; undefined if there are none. */
export function freeIds(machine: Machine): IdRange | undefined {
  const all = { start: 0, length: ID_LIMIT };
  const taken = idKinds.flatMap((kind) => [
    ...parseSubidFile(machine.read(subidFile(kind)) ?? "").entries,
    ...realIds(kind, machine).map(({ id }) => ({ start: id, length: 1 })),
    ...subtract(all, extents(outerMap(kind, machine))),
  ]);
  return freeRange(taken, ENOUGH);
}

/**
 * The commands that add a line for this user to each sub-id file that gives it too few ids. Not usermod(8): it sorts the lines, and
 * with them the ranges of everybody's maps. Empty if no ids are free.
 */
export function delegationLines(name: string, machine: Machine): string[] {
  const range = freeIds(machine);
  if (range === undefined) return [];
  const lacking = idKinds.filter((kind) => {
    const { entries } = parseSubidFile(machine.read(subidFile(kind)) ?? "");
    return total(entries.filter(({ owner }) => owner === name)) < ENOUGH;
  });
  return lacking.map((kind) => `echo ${shellWord(name)}:${range.start}:${range.length} >> ${subidFile(kind)}`);
}
