import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { logged } from "./docker.ts";
import { isRunning } from "./processes.ts";
import type { Running } from "./run.ts";
import { processesOf, type User } from "./user.ts";
import { until } from "./wait.ts";

/** The state directory of a dockerd that got no other. */
export const dockerStateDir = (user: User): string => join(user.runtimeDir, "dockerd-rootless");

/** The messages of the log so far, of one level or all. */
export const messages = (run: Running, level?: string): string[] =>
  logged(run)
    .filter((line) => level === undefined || line.level === level)
    .map(({ msg }) => msg);

/** Resolves to the message when the log has one like it. Throws at once when the run ends without. */
export async function hasLogged(run: Running, like: RegExp, deadline = 15_000): Promise<string> {
  let ended = false;
  run.status.then(() => {
    ended = true;
  });
  const find = () => {
    const over = ended; // asked before the log is read: what was written last is in it
    return messages(run).find((msg) => like.test(msg)) ?? (over && "");
  };
  const found = await until(() => find() !== false && find() !== undefined && { msg: find() }, {
    deadline,
    what: `${like} in the log: ${run.stderr.slice(-2000)}`,
  });
  if (!found.msg) throw new Error(`it ended without ${like} in its log: ${run.stderr.slice(-2000)}`);
  return found.msg;
}

/** How often the log says that the target got ready. */
export const timesReady = (run: Running): number =>
  messages(run, "info").filter((msg) => /^dockerd is ready (again )?after \d/.test(msg)).length;

/** Kills a dockerd; resolves to the moment of that (performance.now()) when another is ready in its place. */
export async function killAndAwait(run: Running, pid: number, signal: NodeJS.Signals = "SIGKILL"): Promise<number> {
  const before = timesReady(run);
  process.kill(pid, signal);
  const moment = performance.now();
  await until(() => !isRunning(pid) && timesReady(run) > before, {
    deadline: 20_000,
    every: 10,
    what: `dockerd to be ready again: ${run.stderr.slice(-3000)}`,
  });
  return moment;
}

/** What a run holds of the machine, as numbers that must not grow. */
export interface Holdings {
  /** How many processes by name. */
  readonly processes: Record<string, number>;
  /** Open descriptors of each of rlkit's own processes. */
  readonly fds: Record<string, number>;
  readonly mounts: number;
  /** Namespaces of all kinds that the user's processes are in. */
  readonly namespaces: number;
  /** Resident KiB of each of rlkit's own processes. */
  readonly rss: Record<string, number>;
}

/** Counts what a run and everything in it holds. */
export async function holdings(user: User, run: Running, init: number): Promise<Holdings> {
  const all = await processesOf(user);
  const processes: Record<string, number> = {};
  for (const { name } of all.filter(({ name }) => name !== "sleep")) processes[name] = (processes[name] ?? 0) + 1;
  const portd = all.filter(({ name, parent }) => name === "rlkit-ns" && parent === init);
  const own = { rlkit: run.pid, init, ...(portd[0] && { portd: portd[0].pid }) };
  const kinds = ["user", "mnt", "net", "pid", "uts", "ipc", "cgroup"];
  const namespaces = new Set(all.flatMap(({ pid }) => kinds.flatMap((kind) => link(`/proc/${pid}/ns/${kind}`))));
  const each = (count: (pid: number) => number) =>
    Object.fromEntries(Object.entries(own).map(([name, pid]) => [name, count(pid)]));
  return {
    processes,
    fds: each((pid) => readdirSync(`/proc/${pid}/fd`).length),
    mounts: readFileSync(`/proc/${init}/mountinfo`, "utf8").split("\n").length,
    namespaces: namespaces.size,
    rss: each((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])),
  };
}

function link(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    return []; // the process has ended
  }
}
