import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import { pidfdOpen, pidfdSignal, pipe, pollReadable, reap, spawn } from "./calls.ts";

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
  const [read, write] = pipe();
  let pid: number;
  try {
    pid = spawn({ path, argv: [path, ...args], env, fds: [-1, write, write], deathSignal: constants.signals.SIGKILL });
  } catch (error) {
    closeSync(read);
    throw error;
  } finally {
    closeSync(write);
  }
  const deadline = Date.now() + milliseconds;
  const chunk = Buffer.alloc(64 * 1024);
  let output = "";
  const pidfd = pidfdOpen(pid);
  try {
    for (;;) {
      const left = deadline - Date.now();
      if (left <= 0) pidfdSignal(pidfd, constants.signals.SIGKILL);
      if (pollReadable([read], Math.max(left, 0)).length === 0 && left > 0) continue;
      const bytes = left > 0 ? readSync(read, chunk) : 0;
      if (bytes === 0) break;
      output += chunk.toString("utf8", 0, bytes);
    }
    // Its output is closed, so it ends at once; one that only closed its output is not waited for longer than the deadline.
    let status = reap(pid);
    while (status === undefined) {
      if (Date.now() > deadline) pidfdSignal(pidfd, constants.signals.SIGKILL);
      pollReadable([pidfd], 100);
      status = reap(pid);
    }
    return { status: shellStatus(status), output };
  } finally {
    closeSync(read);
    closeSync(pidfd);
  }
}
