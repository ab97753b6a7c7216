import type { Machine } from "../check/machine.ts";
import { type Checked, type Finding, type Requirement, skipped } from "../check/requirement.ts";
import { check } from "../check/run.ts";
import type { User } from "../idmap/user.ts";
import { checkGroup, checkUser, MADE_BY_DOCKERD, remapUser } from "./check-accounts.ts";
import { checkConfig } from "./check-config.ts";
import { checkDataRoot, checkNamespaces, checkRunning, remapRoot } from "./check-daemon.ts";
import { checkSharing } from "./check-sharing.ts";
import { checkFiles, checkLength } from "./check-subids.ts";
import { parseRemapSpec, type RemapSpec } from "./identity.ts";
import { type RemapTarget, remapSettings } from "./target.ts";

/** Everything that dockerd wants of a machine for this value of userns-remap, in the order in which it asks. */
function requirements(target: RemapTarget, machine: Machine): Requirement[] {
  const { value, dataRoot } = remapSettings(target, machine);
  const spec = (): RemapSpec => parseRemapSpec(value ?? "");
  const withUser = (probe: (user: User & { name: string }) => Finding) => (): Finding => {
    const user = remapUser(spec(), machine);
    return user === undefined ? skipped("nothing", MADE_BY_DOCKERD) : probe(user);
  };
  return [
    { id: "userns-remap", title: "userns-remap", probe: () => checkConfig(target, machine) },
    { id: "user-namespaces", title: "user namespaces", probe: checkNamespaces },
    {
      id: "user",
      title: "user",
      // A value that is given is looked at even if daemon.json has to be corrected.
      needs: target.given === undefined ? ["userns-remap"] : [],
      probe: () => checkUser(spec(), machine),
    },
    { id: "group", title: "group", needs: ["user"], probe: () => checkGroup(spec(), machine) },
    {
      id: "subid-files",
      title: "/etc/subuid, /etc/subgid",
      needs: ["user"],
      probe: withUser((user) => checkFiles(user, machine)),
    },
    {
      id: "subids",
      title: "65536 subordinate ids",
      needs: ["subid-files"],
      probe: withUser((user) => checkLength(user, machine)),
    },
    {
      id: "sharing",
      title: "ids of nobody else",
      needs: ["subids"],
      probe: withUser((user) => checkSharing(user, machine)),
    },
    {
      id: "data-root",
      title: "data root",
      needs: ["subids"],
      probe: withUser((user) => checkDataRoot(dataRoot, user, machine)),
    },
  ];
}

/**
 * Checks what dockerd would, and what it would not tell; the last result is about the dockerd that runs. Throws USAGE for a
 * given value that is none.
 */
export async function checkRemap(target: RemapTarget, machine: Machine): Promise<Checked[]> {
  if (target.given !== undefined) parseRemapSpec(target.given);
  const results = await check(machine, undefined, requirements(target, machine));
  const running = checkRunning(results, directoryOf(target, machine, results), machine);
  return [...results, { id: "dockerd", title: "dockerd that runs", ...running }];
}

/** The directory of the map, where all that it depends on is in order. */
function directoryOf(target: RemapTarget, machine: Machine, results: readonly Checked[]): string | undefined {
  const { value, dataRoot } = remapSettings(target, machine);
  if (value === undefined || results.some(({ verdict }) => verdict === "failure")) return undefined;
  const user = remapUser(parseRemapSpec(value), machine);
  return user && remapRoot(dataRoot, user, machine);
}
