import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a daemon can do about its containers' limits here (cgroups(7)). */
export interface CgroupFacts {
  /** The whole of /sys/fs/cgroup is version 2: the only one with which an ordinary user is given a part of it. */
  version2: boolean;
  uid: number;
  /** The user has a service manager of its own (systemd --user). */
  userManager: boolean;
  /** This process's group, as /proc/self/cgroup has it. */
  group: string;
  /** The group is below the user's own manager, and so the user's. */
  delegated: boolean;
  /** The controllers that the user's manager hands on. */
  controllers: readonly string[];
}

const TOP = "/sys/fs/cgroup";

/** The controllers that containers have limits for. */
export const wantedControllers = ["cpu", "cpuset", "io", "memory", "pids"] as const;

/** The lines with which root has systemd hand them on to users' managers (systemd.resource-control(5), Delegate=). */
export function delegationLines(uid: number): string[] {
  const directory = "/etc/systemd/system/user@.service.d";
  return [
    `mkdir -p ${directory}`,
    `printf '[Service]\\nDelegate=${wantedControllers.join(" ")}\\n' > ${directory}/delegate.conf`,
    "systemctl daemon-reload",
    `systemctl restart user@${uid}.service`,
  ];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Reads three small files. `runtimeDir` is the user's, where its manager listens. */
export function gatherCgroupFacts(uid: number, runtimeDir: string): CgroupFacts {
  const group = /^0::(.*)$/m.exec(read("/proc/self/cgroup") ?? "")?.[1] ?? "/";
  const manager = new RegExp(`^.*/user@${uid}\\.service`).exec(group)?.[0];
  const handsOn = manager === undefined ? undefined : read(join(TOP, manager, "cgroup.controllers"));
  return {
    uid,
    version2: existsSync(join(TOP, "cgroup.controllers")),
    userManager: existsSync(join(runtimeDir, "systemd", "private")),
    group,
    delegated: manager !== undefined,
    controllers: handsOn?.trim().split(" ") ?? [],
  };
}
