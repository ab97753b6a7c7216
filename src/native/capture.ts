import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import { pidfdOpen, pidfdSignal, pipe, pollReadable, reap, spawn } from "./calls.ts";

const { SIGKILL } = constants.signals;

/** How a short-lived program ended, and what it wrote (standard output and error together). */
export interface Captured {
  /** As a shell would say it: the exit code, or 128 + the signal's number. */
  status: number;
  output: string;
}

/** A wait status (waitpid(2)) as a shell says it: the exit code, or 128 + the signal's number. */
export function shellStatus(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

/**
 * Runs a program to its end and returns what it wrote. Blocks this thread: meant for programs that answer in milliseconds
 * (child_process costs more than they do). After `milliseconds` the program is killed.
 */
export function capture(path: string, args: readonly string[], env: readonly string[], milliseconds = 5000): Captured {
  return startCapture(path, args, env, milliseconds)();
}

/** The same in two parts: the program runs while the caller does something else, and the function returned waits for it. */
export function startCapture(
  path: string,
  args: readonly string[],
  env: readonly string[],
  milliseconds = 5000,
): () => Captured {
  const [read, write] = pipe();
  let pid: number;
  try {
    pid = spawn({ path, argv: [path, ...args], env, fds: [-1, write, write], deathSignal: SIGKILL });
  } catch (error) {
    closeSync(read);
    throw error;
  } finally {
    closeSync(write);
  }
  const deadline = Date.now() + milliseconds;
  return () => collect(pid, read, deadline);
}

function collect(pid: number, read: number, deadline: number): Captured {
  const pidfd = pidfdOpen(pid);
  const endAfterDeadline = (): number => {
    const left = deadline - Date.now();
    if (left <= 0) pidfdSignal(pidfd, SIGKILL);
    return left;
  };
  try {
    const output = readAll(read, endAfterDeadline);
    // It has closed its output, and so it usually ends at once.
    for (;;) {
      const status = reap(pid);
      if (status !== undefined) return { status: shellStatus(status), output };
      endAfterDeadline();
      pollReadable([pidfd], 100);
    }
  } finally {
    closeSync(read);
    closeSync(pidfd);
  }
}

/** Reads to the end of file, or until no time is left. */
function readAll(fd: number, timeLeft: () => number): string {
  const chunk = Buffer.alloc(16 * 1024);
  let output = "";
  for (let left = timeLeft(); left > 0; left = timeLeft()) {
    if (pollReadable([fd], left).length === 0) continue;
    const bytes = readSync(fd, chunk);
    if (bytes === 0) break;
    output += chunk.toString("utf8", 0, bytes);
  }
  return output;
}
