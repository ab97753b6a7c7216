import { type CgroupFacts, wantedControllers } from "../host/cgroup-facts.ts";
import type { Note } from "./profile.ts";

/** The lines with which root has systemd hand controllers on to users' managers (systemd.resource-control(5), Delegate=). */
const delegation = (controllers: readonly string[]): string =>
  `mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=${controllers.join(" ")}\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload`;

/** What somebody who gives containers limits (-m, --cpus, --pids-limit) is to know; nothing where all of them work. */
export function limitNotes({ version2, userManager, delegated, group, controllers }: CgroupFacts): Note[] {
  const none = "containers get no limits of memory, processors and processes";
  if (!version2) return [{ level: "info", text: `${none}: this host has cgroup version 1` }];
  if (!userManager) return [{ level: "info", text: `${none}: there is no systemd user session` }];
  if (!delegated) {
    const text = `${none}: the cgroup ${group} is not this user's; rlkit run --scope takes one that is`;
    return [{ level: "warn", text }];
  }
  const missing = wantedControllers.filter((controller) => !controllers.includes(controller));
  if (missing.length === 0) return [];
  const text = `containers get no limits of ${missing.join(", ")}, which are not delegated to users. As root: ${delegation(wantedControllers)}`;
  return [{ level: "info", text }];
}
