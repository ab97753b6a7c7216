import { closeSync } from "node:fs";
import { isErrno } from "../errors.ts";
import { pidfdOpen, pidfdSignal, reap, type SpawnSpec, spawn } from "../native/calls.ts";
import { untilReadable } from "./wait.ts";

/** A process that this one started, in the host's namespaces. */
export class Child {
  readonly pid: number;
  readonly #pidfd: number;
  #status: number | undefined;
  #listeners: ((status: number) => void)[] = [];

  /** A child that exists already: what init has forked with CLONE_PARENT is one of ours. */
  constructor(pid: number) {
    this.pid = pid;
    this.#pidfd = pidfdOpen(pid);
    running.add(this);
  }

  /** Starts a program. Throws a SyscallError that names it. */
  static start(spec: SpawnSpec): Child {
    return new Child(spawn(spec));
  }

  /** Readable once the process has ended. */
  get pidfd(): number {
    return this.#pidfd;
  }

  /** Its wait status (waitpid(2)) if it has ended; it is reaped by the first call that finds so. */
  poll(): number | undefined {
    if (this.#status !== undefined) return this.#status;
    const status = reap(this.pid);
    if (status === undefined) return undefined;
    this.#status = status;
    running.delete(this);
    closeSync(this.#pidfd);
    for (const listener of this.#listeners.splice(0)) listener(status);
    return status;
  }

  /** Tells once how the process ended; only after `watchChildren` or in a `wait`. */
  onEnd(listener: (status: number) => void): void {
    const status = this.poll();
    if (status === undefined) this.#listeners.push(listener);
    else listener(status);
  }

  /** Waits for its end; resolves to its wait status, or to undefined after `milliseconds`. */
  async wait(milliseconds: number, interrupted?: () => void): Promise<number | undefined> {
    if (this.poll() === undefined) await untilReadable([this.#pidfd], milliseconds, interrupted);
    return this.poll();
  }

  /** Sends a signal; does nothing if the process has ended. */
  kill(signo: number): void {
    if (this.poll() !== undefined) return;
    try {
      pidfdSignal(this.#pidfd, signo);
    } catch (error) {
      if (!isErrno(error, "ESRCH")) throw error;
    }
  }
}

const running = new Set<Child>();

/**
 * Notices ends of children from here on. SIGCHLD says only that some ended, so all are asked. Returns what stops this.
 */
export function watchChildren(): () => void {
  const ask = (): void => {
    for (const child of running) child.poll();
  };
  process.on("SIGCHLD", ask);
  ask(); // what came before is not told again
  return () => process.off("SIGCHLD", ask);
}
