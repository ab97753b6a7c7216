import { fromError, fromVerdict } from "../check/causes.ts";
import type { Machine } from "../check/machine.ts";
import { asRoot, type Finding, failure, inWords, ok, warning } from "../check/requirement.ts";
import { RlkitError } from "../errors.ts";
import { checkRanges, type IdFacts } from "../idmap/check-ranges.ts";
import { total, withoutOverlaps } from "../idmap/ranges.ts";
import { type IdKind, subidFile } from "../idmap/source.ts";
import { parseSubidFile } from "../idmap/subid-file.ts";
import { describeUser, type User } from "../idmap/user.ts";
import { delegationLines, outerMap } from "./delegate.ts";
import { doubled, idKinds, isMixed, remapEntries, remapMaps } from "./maps.ts";
import { accountsOf } from "./target.ts";

type Named = User & { name: string };

const TRIED = "read /etc/subuid and /etc/subgid as dockerd does";

/** The finding of the error that `probe` throws, if it is a known one. */
function orError(tried: string, probe: () => Finding): Finding {
  try {
    return probe();
  } catch (error) {
    if (error instanceof RlkitError) return fromError(tried, error);
    throw error;
  }
}

/** Whether every version of dockerd reads the same ranges from the two files. */
export function checkFiles(user: Named, machine: Machine): Finding {
  return orError(TRIED, () => {
    for (const kind of idKinds) {
      const file = subidFile(kind);
      if (isMixed(remapEntries(kind, user, accountsOf(machine)))) {
        const found = `${file} has lines of ${user.name} and of ${user.uid}: dockerd 20.10 to 27 takes those of ${user.uid} alone, later ones take them all`;
        return warning(TRIED, found, inWords("root", `write all of them as ${user.name}:start:count`));
      }
      const { malformed } = parseSubidFile(machine.read(file) ?? "");
      const bad = malformed.find(({ text }) => text.split(":").length !== 3);
      if (bad) {
        const found = `${file} line ${bad.line}: ${JSON.stringify(bad.text)}: ${bad.reason}; dockerd before 28 does not start with it, whosever it is`;
        return warning(TRIED, found, inWords("root", `correct or remove line ${bad.line} of ${file}`));
      }
    }
    return ok(TRIED, "every line is one");
  });
}

/** Whether the ranges are there, long enough for images, and a map that the kernel takes. */
export function checkLength(user: Named, machine: Machine): Finding {
  return orError(TRIED, () => {
    const io = accountsOf(machine);
    const facts = (kind: IdKind): IdFacts => ({
      delegated: { ranges: withoutOverlaps(remapEntries(kind, user, io)), from: subidFile(kind) },
      file: machine.read(subidFile(kind)),
      outer: outerMap(kind, machine),
    });
    const ids = { uid: facts("uid"), gid: facts("gid") };
    const verdicts = checkRanges({ user, localUser: true, subidService: undefined, ids });
    const findings = verdicts.map((verdict) => fromVerdict(TRIED, verdict));
    const [first] = findings;
    if (first === undefined) return checkOverlap(user, machine);
    const isShort = verdicts.some(({ code }) => code === "SUBID_NONE");
    const lines = isShort ? delegationLines(user.name, machine) : [];
    return lines.length > 0 ? { ...first, fix: [asRoot(...lines)] } : first;
  });
}

function checkOverlap(user: Named, machine: Machine): Finding {
  const io = accountsOf(machine);
  for (const kind of idKinds) {
    const file = subidFile(kind);
    const twice = doubled(remapEntries(kind, user, io));
    if (twice === undefined) continue;
    const found = `${file} lines ${twice.lines.join(" and ")} both give ${kind}s ${twice.ids} to ${describeUser(user)}: no container starts, as the kernel refuses the map`;
    return failure(TRIED, found, inWords("root", `correct one of the two lines in ${file}`));
  }
  const { maps } = remapMaps(user, io);
  const [uids, gids] = idKinds.map((kind) =>
    total(maps[kind].map(({ outside: start, length }) => ({ start, length }))),
  );
  const first = idKinds.map((kind) => `${kind} ${maps[kind][0]?.outside}`).join(", ");
  return ok(TRIED, `${uids} uids and ${gids} gids; root in containers is ${first}`);
}
