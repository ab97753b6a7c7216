import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.ts";
import { log } from "../log.ts";

/**
 * Moves all processes of this process's cgroup (version 2) into a group `name` below it, and has its controllers reach the groups
 * below: a group with processes of its own can't do that (cgroups(7), "no internal processes"). Whoever had a cgroup namespace made
 * before sees itself in /NAME then. What doesn't work is a line in the log: it takes a group that was delegated to the user.
 */
export function evacuateCgroup(name: string): void {
  const group = ownGroup();
  if (group === undefined) {
    log.warn("--evacuate-cgroup2 does nothing: there is no cgroup version 2 on this host");
    return;
  }
  try {
    mkdirSync(join(group, name), { mode: 0o755 });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) {
      log.warn(`--evacuate-cgroup2=${name}: cannot make ${join(group, name)}: ${(error as Error).message}`, {
        fix: "start it in a group of your own: systemd-run --user --scope -p Delegate=yes rlkit run …",
      });
      return;
    }
  }
  const pids = readFileSync(join(group, "cgroup.procs"), "utf8").split("\n");
  for (const pid of pids) if (Number(pid) > 0) attempt(join(group, name, "cgroup.procs"), pid);
  const controllers = readFileSync(join(group, "cgroup.controllers"), "utf8").trim().split(" ");
  for (const controller of controllers) {
    if (controller !== "") attempt(join(group, "cgroup.subtree_control"), `+${controller}`);
  }
}

/** The directory of this process's group of version 2; undefined where there is none. */
function ownGroup(): string | undefined {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const mount = mounts.find((line) => / - cgroup2 /.test(line))?.split(" ")[4];
  const group = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  return mount === undefined || group === undefined ? undefined : join(mount, group);
}

/** One value a write, as cgroup files want it. */
function attempt(path: string, value: string): void {
  try {
    writeFileSync(path, value, { flag: "r+" });
  } catch (error) {
    if (!isErrno(error, "ESRCH")) log.warn(`cannot write ${value} to ${path}: ${(error as Error).message}`);
  }
}
