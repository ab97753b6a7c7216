import { fromError } from "../check/causes.ts";
import type { Machine } from "../check/machine.ts";
import { asRoot, type Finding, failure, inWords, ok, skipped } from "../check/requirement.ts";
import { RlkitError } from "../errors.ts";
import { parseDecimal } from "../idmap/ranges.ts";
import { describeUser, type User } from "../idmap/user.ts";
import { shellWord } from "../idmap/verdict.ts";
import { delegationLines } from "./delegate.ts";
import { findRemapGroup, findRemapUser, type RemapSpec, ROOT_STAYS } from "./identity.ts";
import { accountsOf } from "./target.ts";

/** What is said of dockremap and its ranges while there is none: dockerd makes them, and an unknown range has no faults. */
export const MADE_BY_DOCKERD = "dockerd makes dockremap and its ranges when it starts";

/** The user; undefined for dockremap that dockerd is still to make. Throws USAGE if there is none. */
export function remapUser(spec: RemapSpec, machine: Machine): (User & { name: string }) | undefined {
  try {
    return findRemapUser(spec, accountsOf(machine));
  } catch (error) {
    if (spec.isDefault && error instanceof RlkitError) return undefined;
    throw error;
  }
}

/** Whether dockerd finds the user, or can make it. */
export function checkUser(spec: RemapSpec, machine: Machine): Finding {
  const tried = `getent passwd ${spec.user}`;
  try {
    const user = remapUser(spec, machine);
    if (user === undefined) return checkMaking(tried, machine);
    if (user.uid !== 0) return ok(tried, describeUser(user));
    return failure(tried, ROOT_STAYS, inWords("root", "name another user, or default"));
  } catch (error) {
    if (!(error instanceof RlkitError)) throw error;
    const found = `${error.message}; dockerd does not start`;
    if (parseDecimal(spec.user) !== undefined) return failure(tried, found, inWords("root", "name a user that exists"));
    const make = `useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${shellWord(spec.user)}`;
    return failure(tried, found, asRoot(make, ...delegationLines(spec.user, machine)));
  }
}

/** dockerd makes dockremap by the first of these programs that is there. */
function checkMaking(tried: string, { find }: Machine): Finding {
  if (["adduser", "useradd"].some((program) => find(program) !== undefined)) return ok(tried, MADE_BY_DOCKERD);
  const found = "there is no user dockremap, and neither adduser nor useradd with which dockerd could make it";
  return failure(
    tried,
    found,
    inWords("root", "add dockremap to /etc/passwd, /etc/group, /etc/subuid and /etc/subgid"),
  );
}

/** Whether dockerd finds the group: it only has to be there. */
export function checkGroup(spec: RemapSpec, machine: Machine): Finding {
  const tried = `getent group ${spec.group}`;
  try {
    if (remapUser(spec, machine) === undefined) return skipped("nothing", MADE_BY_DOCKERD);
    const group = findRemapGroup(spec, accountsOf(machine));
    return ok(tried, `${group}; only before Docker 20.10 its lines of /etc/subgid count`);
  } catch (error) {
    if (!(error instanceof RlkitError)) throw error;
    const isGid = parseDecimal(spec.group) !== undefined;
    const make = `groupadd ${isGid ? `--gid ${spec.group} g${spec.group}` : shellWord(spec.group)}`;
    return { ...fromError(tried, error), fix: [asRoot(make), inWords("root", "or name another group, as user:group")] };
  }
}
