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
  encodeListen,
  type ListenRequest,
  type PortdMessage,
} from "./portd-encoding.ts";

/** A portd that ends within this time has a cause that a restart does not remove. Milliseconds. */
const SHORT_LIFE = 1000;

const lost = (why: string): RlkitError =>
  new RlkitError("PORT", `lost rlkit-ns portd, which forwards the ports: ${why}`, {
    hint: "it is started again; if that goes on, see the log",
  });

interface Process {
  socket: FrameSocket<PortdMessage>;
  started: number;
}

/**
 * `rlkit-ns portd`, the process inside that accepts on the host's listeners and connects to the target. It is started by the
 * first port, and again whenever it ends: the listeners are kept here, so clients wait meanwhile, and none is refused.
 */
export class Portd implements DataPlane {
  readonly #control: Control;
  readonly #interrupted: () => void;
  #process: Promise<Process> | undefined;
  #attached = false;
  #closed = false;
  #restarts = 0;
  #started = 0;
  /** Has a new portd serve what the last one did. */
  replay: (plane: Pick<DataPlane, "listen">) => Promise<void> = async () => {};

  constructor(control: Control, interrupted: () => void) {
    this.#control = control;
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
    const socket = new FrameSocket(ours, { decode: decodePortd, lost, interrupted: this.#interrupted });
    try {
      const fds = [nothing, nothing, 2, theirs];
      const pid = await this.#control.spawn({ argv: [rlkitNs(), "portd", "3"], env: [], newSession: true, fds });
      log.debug("started rlkit-ns portd", { pid });
      if (this.#attached) await socket.attach();
      this.#control.onEnd(pid, (status) => void this.#ended(socket, status));
    } catch (cause) {
      socket.close();
      throw cause;
    } finally {
      closeSync(nothing);
      closeSync(theirs);
    }
    const process = { socket, started: Date.now() };
    this.#started += 1;
    if (this.#started > 1) await this.replay({ listen: (request, fd) => this.#listen(process, request, fd) });
    return process;
  }

  #listen(process: Process, request: ListenRequest, fd: number): Promise<void> {
    return this.#succeed(process, (id) => encodeListen(id, request), "listen", [fd]);
  }

  async #ended(socket: FrameSocket<PortdMessage>, status: number): Promise<void> {
    const process = await this.#process;
    socket.close();
    if (this.#closed || process?.socket !== socket) return;
    this.#process = undefined;
    const what = `rlkit-ns portd has ended (status ${shellStatus(status)}), with the connections that it forwarded`;
    if (Date.now() - process.started < SHORT_LIFE && this.#restarts > 0) {
      log.error(`${what}; it is started again when a port is added: published ports are not served until then`);
      return;
    }
    this.#restarts += 1;
    log.warn(`${what}; starting it again`);
    try {
      await this.#start();
    } catch (error) {
      log.error(`published ports are not served: ${(error as Error).message}`);
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
