import { readdirSync, readFileSync } from "node:fs";

export interface Process {
  readonly pid: number;
  /** One letter, as in ps: R, S, D, Z, … */
  readonly state: string;
  readonly uid: number;
  readonly parent: number;
  readonly name: string;
}

/** A process as /proc shows it; undefined when there is none. */
function readProcess(pid: number): Process | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
  return {
    pid,
    state: field("State"),
    uid: Number(field("Uid")),
    parent: Number(field("PPid")),
    name: field("Name"),
  };
}

/** True while it runs. A zombie does not: some machines' PID 1 never reaps, so the entry in /proc stays for good. */
export function isRunning(pid: number): boolean {
  const process = readProcess(pid);
  return process !== undefined && process.state !== "Z" && process.state !== "X";
}

/** Every process on the machine that runs. */
export function runningProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => readProcess(Number(entry)))
    .filter((process) => process !== undefined)
    .filter(({ state }) => state !== "Z" && state !== "X");
}

/** The running children of `pid`, and theirs, parents before children. */
export function descendants(pid: number): Process[] {
  const all = runningProcesses();
  const below = (parent: number): Process[] =>
    all.filter((process) => process.parent === parent).flatMap((child) => [child, ...below(child.pid)]);
  return below(pid);
}

export function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
}
