import { writeSync } from "node:fs";
import type { HostFacts } from "../host/facts.ts";
import { checkIdMaps } from "../idmap/check.ts";
import { log, logs } from "../log.ts";
import { isTerminal } from "../native/calls.ts";
import { leadsOut, networkName } from "../network/choose.ts";
import type { PlannedRun } from "../plan/planner.ts";

/** A variable as a line for a shell to evaluate. */
export function exportLine(name: string, value: string): string {
  return `export ${name}=${/^[\w/:.,@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`}`;
}

/** Says what was decided for the user, and how clients reach the target. */
export function announce({ network, portDriver, profile, notes }: PlannedRun, facts: HostFacts): void {
  if (facts.ids.user.uid === 0) {
    log.warn("running as root: rlkit is made for ordinary users, and root needs no user namespace", {
      fix: "run it as the user whom the containers are for",
    });
  }
  for (const { severity, text, fix } of checkIdMaps(facts.ids)) if (severity === "warning") log.warn(text, { fix });
  if (leadsOut(network)) log.info(`network: ${networkName(network)}, ${network.why}; ports: ${portDriver}`);
  for (const { level, text } of notes) log[level](text);
  const lines = Object.entries(profile.clientEnv).map(([name, value]) => exportLine(name, value));
  if (lines.length === 0 || !logs("info")) return;
  // At a terminal, lines to paste; elsewhere one line of the log, since others may parse it.
  if (isTerminal(2)) writeSync(2, `To use it in another terminal:\n${lines.map((line) => `  ${line}\n`).join("")}`);
  else log.info(lines.join("; "), profile.clientEnv);
}
