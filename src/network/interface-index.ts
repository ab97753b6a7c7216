import { readFileSync } from "node:fs";

/**
 * The number of an interface that is up, in the network namespace of a process (proc_pid_net(5)); undefined while it is down, or there is
 * none of that name.
 */
export function interfaceIndex(pid: number, ifname: string, proc = "/proc"): number | undefined {
  const entries = netLines(pid, "igmp", proc).map((line) => /^(\d+)\s+([^\s:]+)\s*:/.exec(line));
  const index = entries.find((entry) => entry?.[2] === ifname)?.[1];
  return index === undefined ? undefined : Number(index);
}

/** The lines of a file in /proc/PID/net; none if it can't be read. */
export function netLines(pid: number, file: string, proc = "/proc"): string[] {
  try {
    return readFileSync(`${proc}/${pid}/net/${file}`, "utf8").split("\n");
  } catch {
    return [];
  }
}
