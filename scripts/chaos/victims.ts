import { readFileSync } from "node:fs";
import { commandLine, type Process } from "../../test/helpers/processes.ts";
import { processesOf, type User } from "../../test/helpers/user.ts";
import type { Role } from "./plan.ts";

/** The processes that one run of rlkit began with. */
export interface Roots {
  readonly user: User;
  readonly rlkit: number;
  readonly init: number;
}

/** The processes that have a role now, oldest first. */
export async function victims({ user, rlkit, init }: Roots, role: Role): Promise<number[]> {
  const has: Record<Role, (process: Process) => boolean> = {
    rlkit: ({ pid }) => pid === rlkit,
    init: ({ pid }) => pid === init,
    guard: ({ pid, parent }) => parent === rlkit && / guard( |$)/.test(words(pid)),
    "network helper": ({ name }) => /^(slirp4netns|pasta|passt)/.test(name),
    portd: ({ pid, parent }) => parent === init && /rlkit-ns portd( |$)/.test(words(pid)),
    // A child that has not become another program yet is called dockerd, too.
    dockerd: ({ name, parent }) => name === "dockerd" && parent === init,
    containerd: ({ name }) => name === "containerd",
    "docker-proxy": ({ name }) => name === "docker-proxy",
    "rootlesskit-docker-proxy": ({ name }) => name === "rootlesskit-doc", // 15 bytes of it
  };
  return (await processesOf(user))
    .filter(has[role])
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);
}

function words(pid: number): string {
  try {
    return commandLine(pid);
  } catch {
    return ""; // it has ended
  }
}

/** When a process started, which with its pid names it for ever; undefined when there is none. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/** Sends a signal; false when the process has just ended. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    return false;
  }
}
