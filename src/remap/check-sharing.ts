import type { Machine } from "../check/machine.ts";
import { type Finding, failure, inWords, ok, warning } from "../check/requirement.ts";
import { formatRange, intersect } from "../idmap/ranges.ts";
import { type IdKind, subidFile } from "../idmap/source.ts";
import { parseSubidFile, type SubidEntry } from "../idmap/subid-file.ts";
import type { User } from "../idmap/user.ts";
import { freeIds, realIds } from "./delegate.ts";
import { idKinds, remapEntries } from "./maps.ts";
import { accountsOf } from "./target.ts";

type Named = User & { name: string };

const SHOWN = 3; // of a list, in a sentence

/** Whether the ids belong to nobody else: that is what the map is for. */
export function checkSharing(user: Named, machine: Machine): Finding {
  const tried =
    "compared its ranges with other users' in /etc/subuid and /etc/subgid, and with /etc/passwd and /etc/group";
  const shared = idKinds.flatMap((kind) => [...withRoot(kind, user, machine), ...withOthers(kind, user, machine)]);
  if (shared.length === 0) return ok(tried, "nobody else has its ids");
  const isRoot = shared.some(({ root }) => root);
  const shown = shared.slice(0, SHOWN).map(({ text }) => text);
  const more = shared.length > SHOWN ? `, and ${shared.length - SHOWN} more` : "";
  const meaning = isRoot
    ? "containers have root's files and processes"
    : "containers have their files and processes, and they those of containers";
  const lines = [...new Set(shared.map(({ entry, kind }) => `line ${entry.line} of ${subidFile(kind)}`))];
  const free = freeIds(machine);
  const other = free ? `as ${user.name}:${free.start}:${free.length}` : "with ids of its own";
  const note = `write ${lines.join(" and ")} anew, ${other}; files of containers that there are keep their owners`;
  return (isRoot ? failure : warning)(tried, `${shown.join("; ")}${more}: ${meaning}`, inWords("root", note));
}

interface Shared {
  text: string;
  kind: IdKind;
  entry: SubidEntry;
  root: boolean;
}

function withRoot(kind: IdKind, user: Named, machine: Machine): Shared[] {
  const zero = { start: 0, length: 1 };
  return remapEntries(kind, user, accountsOf(machine))
    .filter((entry) => intersect(entry, zero))
    .map((entry) => ({ text: `${kind} 0, the real root's, is among them`, kind, entry, root: true }));
}

function withOthers(kind: IdKind, user: Named, machine: Machine): Shared[] {
  const names = [user.name, String(user.uid)];
  const { entries } = parseSubidFile(machine.read(subidFile(kind)) ?? "");
  const others = entries.filter(({ owner }) => !names.includes(owner));
  // The user's own id among its ranges is meant: its own files are to be usable in containers.
  const own = kind === "uid" ? user.uid : user.gid;
  const real = realIds(kind, machine).filter(({ id }) => id !== 0 && id !== own);
  return remapEntries(kind, user, accountsOf(machine)).flatMap((entry) => [
    ...others.flatMap((other) => {
      const common = intersect(entry, other);
      const text =
        common && `${kind}s ${formatRange(common)} are ${other.owner}'s too (line ${other.line} of ${subidFile(kind)})`;
      return text ? [{ text, kind, entry, root: false }] : [];
    }),
    ...real
      .filter(({ id }) => intersect(entry, { start: id, length: 1 }))
      .map(({ id, name }) => ({ text: `${kind} ${id} is ${name}'s own`, kind, entry, root: false })),
  ]);
}
