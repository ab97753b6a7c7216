import { closeSync, readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { isErrno } from "../errors.ts";
import { pidfdOpen, pidfdSignal } from "../native/calls.ts";

const { SIGKILL, SIGTERM } = constants.signals;

/** A process below `rlkit-ns init`, by its pid in the host's pid namespace. */
export interface Descendant {
  pid: number;
  parent: number;
  /** Of its program, 15 bytes at most (proc_pid_comm(5)). */
  name: string;
  /** proc_pid_stat(5): T is stopped, Z has ended. */
  state: string;
  /** When it started, in clock ticks since boot: with its pid, this names it for ever. */
  started: number;
}

/** Reads /proc/PID/stat; undefined if the process has ended, or is hidden. */
export function readProcess(pid: number): Descendant | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")"); // the name may hold blanks and brackets
    const fields = stat.slice(end + 2).split(" ");
    const [state = "", parent] = fields;
    const name = stat.slice(stat.indexOf("(") + 1, end);
    return { pid, parent: Number(parent), name, state, started: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** All processes below one, zombies excepted, the nearest first. */
export function descendants(pid: number): Descendant[] {
  const all = readdirSync("/proc").map(Number).filter(Number.isInteger);
  const alive = all.flatMap((each) => readProcess(each) ?? []).filter(({ state }) => state !== "Z");
  const found: Descendant[] = [];
  for (let parents = new Set([pid]); parents.size > 0; ) {
    const children = alive.filter(({ parent }) => parents.has(parent));
    found.push(...children);
    parents = new Set(children.map((child) => child.pid));
  }
  return found;
}

/** The pid that a process has in the innermost pid namespace (NSpid of proc_pid_status(5)). */
export function innerPid(pid: number): number | undefined {
  try {
    const line = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(line?.split(/\s+/).at(-1));
  } catch {
    return undefined;
  }
}

/** Its argv; empty if it can't be read. */
export function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** Bytes of memory that a process holds (VmRSS); undefined if it can't be read. */
export function memoryOf(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

/**
 * Processes that live on while the target is restarted: rlkit's own, and the parents of containers, which are made to outlive
 * the daemon that started them.
 */
const isKept = ({ name }: Descendant): boolean => /^(rlkit-ns$|containerd-shim|conmon)/.test(name);

/** What a dead target has left behind below init: its children that are nobody's any more. */
const leftovers = (init: number): Descendant[] =>
  descendants(init).filter((each) => each.parent === init && !isKept(each));

/** Ends what a dead target left running, politely at first: the next one would stumble over its containerd. Never containers. */
export function endLeftovers(init: number): Promise<Descendant[]> {
  return endAll(() => leftovers(init), 2000);
}

/** Ends everything below init but rlkit's own processes. Resolves to what had to be killed. */
export function endDescendants(init: number, grace: number): Promise<Descendant[]> {
  return endAll(() => descendants(init).filter(({ name }) => name !== "rlkit-ns"), grace);
}

const TURN = 10; // milliseconds

/** Sends SIGTERM to each process that `list` finds, and SIGKILL to those that are still there after `grace` milliseconds. */
async function endAll(list: () => Descendant[], grace: number): Promise<Descendant[]> {
  const asked = new Set<number>();
  const deadline = performance.now() + grace;
  for (;;) {
    const left = list();
    if (left.length === 0) return [];
    if (performance.now() > deadline) return await killAll(list);
    for (const each of left) {
      if (!asked.has(each.pid)) send(each, SIGTERM);
      asked.add(each.pid);
    }
    await pause(TURN);
  }
}

async function killAll(list: () => Descendant[]): Promise<Descendant[]> {
  const killed = new Map<number, Descendant>();
  for (let turn = 0; turn < 100; turn += 1) {
    const left = list();
    if (left.length === 0) break;
    for (const each of left) {
      killed.set(each.pid, each);
      send(each, SIGKILL);
    }
    await pause(TURN);
  }
  return [...killed.values()];
}

/** Signals a process if it is still there after its pidfd has been opened: no other can have its number then. */
function send({ pid, started }: Descendant, signo: number): void {
  let pidfd: number;
  try {
    pidfd = pidfdOpen(pid);
  } catch {
    return; // it has ended
  }
  try {
    if (readProcess(pid)?.started === started) pidfdSignal(pidfd, signo);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  } finally {
    closeSync(pidfd);
  }
}
