import { RlkitError } from "../errors.ts";
import { checkPrivileges, checkTools, checkUser, type IdMapFacts } from "../idmap/check.ts";
import { checkRanges } from "../idmap/check-ranges.ts";
import { type IdRange, total } from "../idmap/ranges.ts";
import { describeUser } from "../idmap/user.ts";
import { fromError, fromVerdict, install } from "./causes.ts";
import type { Machine } from "./machine.ts";
import { asRoot, type Finding, failure, inWords, ok, type Requirement, skipped } from "./requirement.ts";

/** pidfd_open(2), without which rlkit does not know which process it ends. */
const OLDEST_KERNEL = [5, 3] as const;

/** The first two numbers of a kernel's release. */
function kernelVersion(release: string): readonly [major: number, minor: number] {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return [Number(major), Number(minor)];
}

/** Whether a kernel is older than that version. */
export function isOlder(release: string, [major, minor]: readonly [number, number]): boolean {
  const [own, ownMinor] = kernelVersion(release);
  return own < major || (own === major && ownMinor < minor);
}

function kernel({ kernel: release }: Machine): Finding {
  const tried = "uname -r";
  if (!isOlder(release, OLDEST_KERNEL)) return ok(tried, `Linux ${release}`);
  const found = `Linux ${release} is older than ${OLDEST_KERNEL.join(".")}, the first that rlkit runs on (pidfd_open)`;
  return failure(tried, found, inWords("root", "install a newer kernel of your distribution, and start it"));
}

const looksAt = "id, getent passwd, HOME";

function user({ user: { uid, name, home }, ids, status }: Machine): Finding {
  if (uid === 0) {
    const found = "this is root, who needs no rootless dockerd: ask as the user who is to run it";
    return failure(looksAt, found, inWords("user", "log in as that user, and run rlkit check"));
  }
  const facts = readable(ids);
  const [verdict] = facts instanceof RlkitError ? [] : checkUser(facts);
  if (name !== undefined && (home === undefined || status(home)?.isDirectory !== true)) {
    const found = home === undefined ? "HOME is not set" : `the home directory ${home} does not exist`;
    const line = `mkdir -p ${home} && chown ${uid} ${home} && chmod 0700 ${home}`;
    const mend = home === undefined ? inWords("root", `give ${name} a home directory: usermod --home`) : asRoot(line);
    return failure(looksAt, found, mend);
  }
  if (verdict !== undefined) return fromVerdict(looksAt, verdict, false);
  return ok(looksAt, `${describeUser({ name, uid })}, at home in ${home}`);
}

function readable(ids: () => IdMapFacts): IdMapFacts | RlkitError {
  try {
    return ids();
  } catch (error) {
    if (error instanceof RlkitError) return error;
    throw error;
  }
}

function privileges({ ids, container }: Machine): Finding {
  const tried = "NoNewPrivs in /proc/self/status";
  const facts = readable(ids);
  const [verdict] = facts instanceof RlkitError ? [] : checkPrivileges(facts);
  if (verdict === undefined) return ok(tried, "they get their privileges");
  const finding = fromVerdict(tried, verdict);
  if (container === undefined) return finding;
  const how =
    container === "kubernetes"
      ? "securityContext: {allowPrivilegeEscalation: true}"
      : "no --security-opt no-new-privileges";
  return { ...finding, fix: [inWords("outside", `start this container with ${how}`)] };
}

function tools(machine: Machine): Finding {
  const tried = "newuidmap and newgidmap on PATH: setuid bit, file capabilities, mount options";
  const facts = readable(machine.ids);
  if (facts instanceof RlkitError) return skipped(tried, "the sub-ids can't be read");
  const missing = (["newuidmap", "newgidmap"] as const).filter((name) => facts[name] === undefined);
  if (missing.length > 0) {
    const found = `${missing.join(" and ")} not found on PATH, and nothing else can map delegated ids`;
    return failure(tried, found, install(machine, "newuidmap", missing.join(" and ")));
  }
  const findings = checkTools(facts).map((verdict) => fromVerdict(tried, verdict, false));
  const [first] = findings;
  if (first === undefined) return ok(tried, `${facts.newuidmap?.path}, ${facts.newgidmap?.path}`);
  const lines = findings.flatMap(({ fix }) => fix.flatMap((each) => each.lines));
  return { ...first, fix: [asRoot(...new Set(lines))] };
}

function subids({ ids, find }: Machine): Finding {
  const tried = "/etc/subuid, /etc/subgid, or what nsswitch.conf names (getsubids)";
  const facts = readable(ids);
  if (facts instanceof RlkitError) return fromError(tried, facts);
  // Small systems have no usermod: a line in the file does the same.
  const verdicts = checkRanges({ ...facts, localUser: facts.localUser && find("usermod") !== undefined });
  const [first] = verdicts;
  if (first !== undefined) {
    const finding = fromVerdict(tried, first);
    return { ...finding, fix: verdicts.flatMap((verdict) => fromVerdict(tried, verdict).fix) };
  }
  const { uid, gid } = facts.ids;
  const count = (ranges: readonly IdRange[]): number => total(ranges);
  return ok(tried, `${count(uid.delegated.ranges)} uids and ${count(gid.delegated.ranges)} gids`);
}

/** Who asks, with which privileges and ids. */
export const identity: readonly Requirement[] = [
  { id: "kernel", title: "kernel", probe: kernel },
  { id: "user", title: "user and home directory", probe: user },
  { id: "no-new-privs", title: "setuid programs", needs: ["user"], probe: privileges },
  { id: "newuidmap", title: "newuidmap and newgidmap", needs: ["user"], probe: tools },
  { id: "subids", title: "65536 subordinate ids", needs: ["user"], probe: subids },
];
