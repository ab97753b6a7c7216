import { cgroups } from "./cgroup.ts";
import { docker } from "./docker.ts";
import { identity } from "./identity.ts";
import type { Machine } from "./machine.ts";
import { namespaces } from "./namespaces.ts";
import { network } from "./network.ts";
import { type Checked, type Requirement, skipped } from "./requirement.ts";
import { sessions } from "./session.ts";
import { storage } from "./storage.ts";

const daemonJson = docker.filter(({ id }) => id === "daemon-json");

/** Everything that is checked, each after what it needs. */
export const requirements: readonly Requirement[] = [
  ...identity,
  ...namespaces,
  ...network,
  ...daemonJson,
  ...storage,
  ...sessions,
  ...cgroups,
  ...docker.filter((each) => !daemonJson.includes(each)),
];

/**
 * Tries the requirements (those of a rootless dockerd unless told) in their order. What needs another one that has failed is
 * skipped, and so is what needs that: a machine with one thing wrong has one failure. `between` is called before each one, and
 * may throw.
 */
export async function check(
  machine: Machine,
  between: () => Promise<void> | void = () => {},
  wanted: readonly Requirement[] = requirements,
): Promise<Checked[]> {
  /** What stands in the way of what comes later, by id: the first cause. */
  const causes = new Map<string, string>();
  const results: Checked[] = [];
  for (const { id, title, needs = [], probe } of wanted) {
    await between();
    const cause = needs.map((need) => causes.get(need)).find((each) => each !== undefined);
    const finding = cause === undefined ? await probe(machine) : skipped("nothing", `needs: ${cause}`);
    if (cause !== undefined) causes.set(id, cause);
    else if (finding.verdict === "failure") causes.set(id, id);
    results.push({ id, title, ...finding });
  }
  return results;
}

/** Whether a rootless dockerd can do its work: no failure. */
export const isGood = (results: readonly Checked[]): boolean => results.every(({ verdict }) => verdict !== "failure");
