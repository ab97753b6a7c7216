import { join } from "node:path";
import { delegationLines, wantedControllers } from "../host/cgroup-facts.ts";
import type { Machine } from "./machine.ts";
import { asRoot, type Finding, type Fix, inWords, ok, type Requirement, warning } from "./requirement.ts";
import { hasSystemd } from "./session.ts";

function cgroup(machine: Machine): Finding {
  const {
    read,
    user: { uid },
  } = machine;
  const tried = "made a group below the user's own cgroup, and read its controllers";
  const top = "/sys/fs/cgroup";
  if (read(`${top}/cgroup.controllers`) === undefined) {
    const found = "cgroup version 1: limits of containers (-m, --cpus, --pids-limit) have no effect";
    return warning(tried, found, ...unified(machine));
  }
  const own = hasSystemd(machine)
    ? `/user.slice/user-${uid}.slice/user@${uid}.service`
    : (/^0::(.*)$/m.exec(read("/proc/self/cgroup") ?? "")?.[1] ?? "/");
  const group = join(top, own);
  const refused = machine.tryDirectory(join(group, "rlkit-check"));
  if (refused !== undefined) {
    const found = `cannot make a group below ${group} (${refused}): limits of containers have no effect`;
    const note =
      "without systemd nobody delegates a group: as root, make one, chown it and its cgroup.procs, cgroup.subtree_control and cgroup.threads to the user, and start the daemon in it";
    return warning(tried, found, hasSystemd(machine) ? asRoot(...delegationLines(uid)) : inWords("root", note));
  }
  const controllersOf = (path: string): string[] => (read(join(path, "cgroup.controllers")) ?? "").trim().split(" ");
  const there = controllersOf(group);
  const missing = wantedControllers.filter((name) => !there.includes(name));
  if (missing.length === 0) return ok(tried, there.join(" "));
  const lost = missing.filter((name) => !controllersOf(top).includes(name));
  if (lost.length > 0) {
    const found = `cgroup version 2 does not have: ${lost.join(", ")} (they are version 1's, or not in the kernel); the limits of containers that need them have no effect`;
    return warning(tried, found, ...unified(machine));
  }
  const found = `not delegated: ${missing.join(", ")}; the limits of containers that need them have no effect`;
  if (hasSystemd(machine)) return warning(tried, found, asRoot(...delegationLines(uid)));
  const enabled = missing.map((name) => `+${name}`).join(" ");
  return warning(
    tried,
    found,
    inWords("root", `write "${enabled}" to cgroup.subtree_control of the groups above ${group}`),
  );
}

/** A switch at boot; not in the block for root, because it changes the machine for everybody. */
function unified({ distribution: { manager }, container }: Machine): Fix[] {
  if (container !== undefined) return [inWords("outside", "run this container on a host with cgroup version 2")];
  const parameter = "systemd.unified_cgroup_hierarchy=1";
  if (manager === "dnf" || manager === "yum") {
    return [
      {
        ...asRoot(`grubby --update-kernel=ALL --args=${parameter}`),
        optional: true,
        note: "and start the machine anew",
      },
    ];
  }
  return [inWords("root", `add ${parameter} to the kernel's command line, and start the machine anew`)];
}

/** What limits containers. */
export const cgroups: readonly Requirement[] = [
  { id: "cgroup", title: "cgroup delegation", needs: ["systemd-user"], probe: cgroup },
];
