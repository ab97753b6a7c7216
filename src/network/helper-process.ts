import { closeSync, constants, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { constants as system } from "node:os";
import { join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import { Child } from "../launch/children.ts";
import { untilReadable } from "../launch/wait.ts";
import { log } from "../log.ts";
import { mkfifo, pidfdOpen, pidfdSignal, pipe, pollReadable } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import { rlkitNs } from "../native/paths.ts";
import type { StepOf } from "../plan/steps.ts";
import { nameServers } from "./name-servers.ts";
import { hasDefaultRoute } from "./routes.ts";

const READY_DEADLINE = 10_000; // milliseconds; 10 to 60 is usual
const GLANCE = 1; // milliseconds between two looks for a route
const GONE_DEADLINE = 2000;
const LAST_WORDS = 1000;

const { SIGCONT, SIGKILL } = system.signals;

/** The helpers' options that name a socket at which they listen. */
const SOCKET_OPTIONS = ["--api-socket", "--conf-path"];

/**
 * slirp4netns or pasta, running for one namespace. It is started by `rlkit-ns guard`, which ends it when this process dies: a
 * helper that joins the user namespace loses its parent-death signal.
 */
export class HelperProcess {
  readonly name: string;
  /** Those of the host when it was started (resolv.conf(5)). */
  readonly nameServers = nameServers();
  readonly #child: Child;
  /** What is to become readable, or whose routes are to have a default one. */
  readonly #ready: number | { routes: string };
  readonly #output: number;
  /** The pipe whose end tells the guard to end the helper. */
  #guard: number | undefined;
  #said = "";
  #ended = false;
  /** pidfds of what the guard has started. */
  #processes: number[] = [];

  constructor(step: StepOf<"start-helper">, childPid: number, stateDir: string, env: readonly string[]) {
    this.name = step.driver;
    const pidFile = join(stateDir, `${step.driver}.pid`);
    for (const path of [pidFile, ...socketsOf(step.args)]) rmSync(path, { force: true }); // of one that is dead
    const [output, outputEnd] = pipe();
    const [guardEnd, guard] = pipe();
    // A FIFO in place of the pid file: its reader sees the moment at which the helper is ready.
    const [ready, readyEnd] = step.ready === "fd" ? pipe() : step.ready === "pid-file" ? [fifo(pidFile)] : [];
    const args = step.args.map((arg) => arg.replace("{child}", String(childPid)).replace("{pid-file}", pidFile));
    try {
      this.#child = Child.start({
        path: rlkitNs(),
        argv: ["rlkit-ns", "guard", "4", ...commandOf(step, childPid, args)],
        env,
        fds: [-1, outputEnd, outputEnd, readyEnd ?? -1, guardEnd],
        deathSignal: 0,
        newSession: true,
      });
    } catch (error) {
      for (const fd of [output, guard, ready]) if (fd !== undefined) closeSync(fd);
      throw error;
    } finally {
      for (const fd of [outputEnd, guardEnd, readyEnd]) if (fd !== undefined) closeSync(fd);
    }
    this.#ready = ready ?? { routes: `/proc/${childPid}/net/route` };
    [this.#output, this.#guard] = [output, guard];
  }

  /** Its guard's pid; the helper itself is below that. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it still carries packets. */
  get running(): boolean {
    return this.#child.poll() === undefined;
  }

  /**
   * Resolves once the helper carries packets. Throws, with what it said, when it ends or stays silent instead. `readable` is how to
   * wait for descriptors; it may come back early.
   */
  async ready(interrupted: () => void, readable: typeof untilReadable = untilReadable): Promise<void> {
    const deadline = performance.now() + READY_DEADLINE;
    try {
      while (!(await this.#look(deadline - performance.now(), interrupted, readable)));
    } finally {
      if (typeof this.#ready === "number") closeSync(this.#ready);
    }
    log.debug(`${this.name} is ready`);
  }

  /** Waits for a sign of the helper; resolves to whether it was that it is ready. */
  async #look(left: number, interrupted: () => void, readable: typeof untilReadable): Promise<boolean> {
    const status = this.#child.poll();
    if (status !== undefined) this.#fail(`ended with status ${shellStatus(status)}`);
    if (left <= 0) this.#fail(`was not ready after ${READY_DEADLINE / 1000} s`);
    const output = this.#ended ? [] : [this.#output];
    const ready = this.#ready;
    if (typeof ready !== "number") {
      const found = await readable([...output, this.#child.pidfd], GLANCE, interrupted);
      if (found.includes(this.#output)) this.#readOutput();
      return hasDefaultRoute(readRoutes(ready.routes));
    }
    const found = await readable([ready, ...output, this.#child.pidfd], left, interrupted);
    if (found.includes(this.#output)) this.#readOutput();
    return found.includes(ready) && readSync(ready, Buffer.alloc(64)) > 0;
  }

  #readOutput(): void {
    const chunk = Buffer.alloc(4096);
    const bytes = readSync(this.#output, chunk);
    this.#ended = bytes === 0;
    this.#take(chunk.toString("utf8", 0, bytes));
  }

  #take(text: string): void {
    this.#said = (this.#said + text).slice(-4096);
    for (const line of text.split("\n")) if (line.trim() !== "") log.debug(line.trim(), { helper: this.name });
  }

  #fail(how: string): never {
    this.#readRest();
    const reason = this.#said.trim().split("\n").at(-1) || "it said nothing";
    throw new RlkitError("NETWORK", `${this.name} ${how}: ${reason}`, {
      hint: `see its whole output with --log-level=debug; another network: --net=${this.name === "pasta" ? "slirp4netns" : "pasta"}`,
    });
  }

  #readRest(): void {
    this.stop();
    while (!this.#ended && pollReadable([this.#output], LAST_WORDS).length > 0) this.#readOutput();
    closeSync(this.#output);
  }

  /** From here on its output goes to the log at debug level, and `lost` is called when it ends by itself. */
  async watch(lost: (status: number) => void): Promise<void> {
    const { Socket } = await import("node:net");
    const output = new Socket({ fd: this.#output, readable: true });
    output.on("data", (bytes: Buffer) => this.#take(bytes.toString("utf8")));
    output.on("error", () => output.destroy());
    output.unref();
    const { descendants } = await import("../supervisor/processes.ts");
    this.#processes = descendants(this.pid).flatMap(({ pid }) => openProcess(pid));
    this.#child.onEnd((status) => {
      this.#kill(); // a guard that was killed has not ended the helper
      if (this.#guard !== undefined) lost(status);
    });
  }

  /** Has a guard that somebody has stopped go on: it would not tell of the helper's end. */
  wake(): void {
    this.#child.kill(SIGCONT);
  }

  /** Waits until the helper, told to stop or ended by itself, is gone. */
  async gone(): Promise<void> {
    const deadline = performance.now() + GONE_DEADLINE;
    await this.#child.wait(GONE_DEADLINE);
    for (const pidfd of this.#processes.splice(0)) {
      await untilReadable([pidfd], deadline - performance.now());
      closeSync(pidfd);
    }
  }

  /** Ends the helper, by letting go of its guard; `gone` tells when it has ended. */
  stop(): void {
    if (this.#guard !== undefined) closeSync(this.#guard);
    this.#guard = undefined;
    this.wake();
  }

  #kill(): void {
    for (const pidfd of this.#processes) {
      try {
        pidfdSignal(pidfd, SIGKILL);
      } catch (error) {
        if (!isErrno(error, "ESRCH")) throw error;
      }
    }
  }
}

/** What the guard is to run: the helper itself, or `rlkit-ns ethernet` that runs it. */
function commandOf({ path, ethernet }: StepOf<"start-helper">, childPid: number, args: readonly string[]): string[] {
  if (ethernet === undefined) return [path, ...args];
  return [rlkitNs(), "ethernet", "3", String(childPid), ethernet.ifname, ethernet.socket, path, ...args];
}

const socketsOf = (args: readonly string[]): string[] =>
  args.filter((_, i) => SOCKET_OPTIONS.includes(args[i - 1] ?? ""));

function fifo(path: string): number {
  mkfifo(path, 0o600);
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** Of a process that has ended there is nothing to read. */
function readRoutes(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function openProcess(pid: number): number[] {
  try {
    return [pidfdOpen(pid)];
  } catch {
    return []; // it has just ended
  }
}
