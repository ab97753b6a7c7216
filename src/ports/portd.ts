import { closeSync, openSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import type { Control } from "../launch/control.ts";
import { FrameSocket } from "../launch/frame-socket.ts";
import { log } from "../log.ts";
import { socketpair } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import { errnoName } from "../native/errno.ts";
import { rlkitNs } from "../native/paths.ts";
import type { DataPlane, PortCounters } from "./driver.ts";
import {
  decodePortd,
  encodeClose,
  encodeCount,
  encodeHold,
  encodeListen,
  type ListenRequest,
  type PortdMessage,
} from "./portd-encoding.ts";

/** Failures are counted for so many milliseconds; this many of them, and nobody should wait for it to get better soon. */
const WINDOW = 60_000;
const MANY = 5;
const FIRST_DELAY = 100;
const LAST_DELAY = 10_000;
/** Milliseconds that a healthy portd never needs to answer. */
const ANSWER_WITHIN = 5000;
const SIGKILL = 9;

const lost = (why: string): RlkitError =>
  new RlkitError("PORT", `lost rlkit-ns portd, which forwards the ports: ${why}`, {
    hint: "it is started again; if that goes on, see the log",
  });

interface Process {
  socket: FrameSocket<PortdMessage>;
}

/**
 * `rlkit-ns portd`, the process inside that accepts on the host's listeners and connects to the target. It is started by the
 * first port, and again whenever it ends: the listeners are kept here, so clients wait meanwhile, and none is refused.
 */
export class Portd implements DataPlane {
  readonly #control: Pick<Control, "spawn" | "onEnd" | "signal">;
  readonly #name: string;
  readonly #interrupted: () => void;
  #process: Promise<Process> | undefined;
  #attached = false;
  #closed = false;
  #restarts = 0;
  #started = 0;
  #hold = 0;
  /** When it failed, within the last WINDOW. */
  #failures: number[] = [];
  #retry: NodeJS.Timeout | undefined;
  readonly #hung = new WeakSet<FrameSocket<PortdMessage>>();
  /** Has a new portd serve what the last one did. */
  replay: (plane: Pick<DataPlane, "listen">) => Promise<void> = async () => {};

  /** `direction` tells it from another one in the log. */
  constructor(control: Pick<Control, "spawn" | "onEnd" | "signal">, interrupted: () => void, direction = "") {
    this.#control = control;
    this.#name = direction === "" ? "rlkit-ns portd" : `rlkit-ns portd ${direction}`;
    this.#interrupted = interrupted;
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Whether it runs: undefined before the first port. */
  get running(): boolean | undefined {
    return this.#process === undefined && this.#restarts === 0 ? undefined : this.#process !== undefined;
  }

  /** What is wrong, while it keeps failing. */
  get degraded(): string | undefined {
    this.#failures = this.#failures.filter((at) => at > Date.now() - WINDOW);
    if (this.#failures.length < MANY) return undefined;
    return `${this.#name} failed ${MANY} times within ${WINDOW / 1000} s: published ports are not served until it comes back; next try in ${LAST_DELAY / 1000} s`;
  }

  /**
   * Has connections that the target refuses tried again for so long, in place of the ports' patience; 0 ends that. Does not fail:
   * a portd that is started later is told as well.
   */
  async hold(milliseconds: number): Promise<void> {
    this.#hold = milliseconds;
    const running = await this.#process?.catch(() => undefined);
    if (running !== undefined) await this.#tellHold(running);
  }

  /** Whether it answers, or is not needed now. One that does not is ended, and started again. */
  async check(within = ANSWER_WITHIN): Promise<boolean> {
    const running = await this.#process?.catch(() => undefined);
    if (running === undefined) return true;
    return await running.socket.request(encodeCount, [], within).then(
      () => true,
      () => false,
    );
  }

  async listen(request: ListenRequest, fd: number): Promise<void> {
    await this.#listen(await this.#start(), request, fd);
  }

  async close(port: number): Promise<void> {
    const running = await this.#process;
    if (running !== undefined) await this.#succeed(running, (id) => encodeClose(id, port), "close");
  }

  async counters(): Promise<ReadonlyMap<number, PortCounters>> {
    const running = await this.#process;
    if (running === undefined) return new Map();
    const answer = await running.socket.request(encodeCount);
    if (answer.type !== "counts") throw new Error("rlkit-ns portd answered with something else");
    return answer.counters;
  }

  /** From here on Node's event loop reads from it. */
  async attach(): Promise<void> {
    this.#attached = true;
    await (await this.#process)?.socket.attach();
  }

  /** Ends it, and does not start it again. */
  async stop(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    (await this.#process)?.socket.close();
  }

  #start(): Promise<Process> {
    this.#process ??= this.#spawn().catch((error: unknown) => {
      this.#process = undefined;
      throw error;
    });
    return this.#process;
  }

  async #spawn(): Promise<Process> {
    const [ours, theirs] = socketpair();
    const nothing = openSync("/dev/null", "r+");
    let portd = 0;
    const socket = new FrameSocket<PortdMessage>(ours, {
      decode: decodePortd,
      lost,
      interrupted: this.#interrupted,
      silent: () => this.#kill(portd, socket),
    });
    try {
      const fds = [nothing, nothing, 2, theirs];
      const pid = await this.#control.spawn({
        argv: [rlkitNs(), "portd", "3"],
        env: [],
        newSession: true,
        inNetwork: true,
        fds,
      });
      portd = pid;
      log.debug(`started ${this.#name}`, { pid });
      if (this.#attached) await socket.attach();
      this.#control.onEnd(pid, (status) => void this.#ended(socket, status));
    } catch (cause) {
      socket.close();
      throw cause;
    } finally {
      closeSync(nothing);
      closeSync(theirs);
    }
    const process = { socket };
    this.#started += 1;
    if (this.#hold > 0) await this.#tellHold(process);
    if (this.#started > 1) await this.replay({ listen: (request, fd) => this.#listen(process, request, fd) });
    return process;
  }

  #listen(process: Process, request: ListenRequest, fd: number): Promise<void> {
    return this.#succeed(process, (id) => encodeListen(id, request), "listen", [fd]);
  }

  #tellHold(process: Process): Promise<void> {
    return this.#succeed(process, (id) => encodeHold(id, this.#hold), "hold").catch((error: Error) =>
      log.debug(error.message),
    );
  }

  /** Ends a portd that hangs. */
  #kill(pid: number, socket: FrameSocket<PortdMessage>): void {
    if (this.#closed || this.#hung.has(socket)) return;
    this.#hung.add(socket);
    log.warn(`${this.#name} does not answer: starting it again`);
    this.#control.signal(pid, SIGKILL).catch((error: Error) => log.debug(error.message));
  }

  async #ended(socket: FrameSocket<PortdMessage>, status: number): Promise<void> {
    const process = await this.#process?.catch(() => undefined);
    socket.close();
    if (this.#closed || process?.socket !== socket) return;
    this.#process = undefined;
    const what = `${this.#name} has ended (status ${shellStatus(status)}), with the connections that it forwarded`;
    if (!this.#hung.has(socket) && this.degraded === undefined) log.warn(`${what}; starting it again`);
    this.#startAgain();
  }

  /** At once after the first failure, after a while that doubles with each further one. */
  #startAgain(): void {
    const before = this.degraded;
    const earlier = this.#failures.length;
    this.#failures.push(Date.now());
    const { degraded } = this;
    if (degraded !== undefined && before === undefined) log.error(degraded);
    const delay = degraded === undefined ? FIRST_DELAY * 2 ** (earlier - 1) : LAST_DELAY;
    if (earlier === 0) void this.#restart();
    else this.#retry = setTimeout(() => void this.#restart(), delay).unref();
  }

  async #restart(): Promise<void> {
    if (this.#closed || this.#process !== undefined) return;
    this.#restarts += 1;
    try {
      await this.#start();
    } catch (error) {
      log.error(`published ports are not served: ${(error as Error).message}`);
      if (!this.#closed) this.#startAgain();
    }
  }

  async #succeed(
    { socket }: Process,
    encode: (id: number) => Buffer,
    what: string,
    fds?: readonly number[],
  ): Promise<void> {
    const answer = await socket.request(encode, fds);
    const result = answer.type === "reply" ? (answer.results[0] ?? 0) : 0;
    if (result < 0) throw new RlkitError("PORT", `rlkit-ns portd can't ${what}: ${errnoName(-result)}`);
  }
}
