import { type CgroupFacts, delegationLines, wantedControllers } from "../host/cgroup-facts.ts";
import type { Note } from "./profile.ts";

/** What somebody who gives containers limits (-m, --cpus, --pids-limit) is to know; nothing where all of them work. */
export function limitNotes({ version2, userManager, delegated, group, controllers, uid }: CgroupFacts): Note[] {
  const none = "containers get no limits of memory, processors and processes";
  if (!version2) return [{ level: "info", text: `${none}: this host has cgroup version 1` }];
  if (!userManager) return [{ level: "info", text: `${none}: there is no systemd user session` }];
  if (!delegated) {
    const text = `${none}: the cgroup ${group} is not this user's; rlkit run --scope takes one that is`;
    return [{ level: "warn", text }];
  }
  const missing = wantedControllers.filter((controller) => !controllers.includes(controller));
  if (missing.length === 0) return [];
  const text = `containers get no limits of ${missing.join(", ")}, which are not delegated to users. As root: ${delegationLines(uid).join(" && ")}`;
  return [{ level: "info", text }];
}
