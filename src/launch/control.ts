import { closeSync, readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { isErrno, RlkitError } from "../errors.ts";
import { check } from "../native/errno.ts";
import {
  decodeMessages,
  encodeRun,
  encodeSignal,
  encodeSpawn,
  type InnerSpawn,
  type Message,
} from "../plan/encoding.ts";
import type { Instruction } from "../plan/operations.ts";
import { untilReadable } from "./wait.ts";

const ANSWER_DEADLINE = 30_000; // milliseconds: no operation waits for anything but the kernel

/** A process inside has ended: its pid as init sees it, and its wait status (waitpid(2)). */
export type ExitListener = (pid: number, status: number) => void;

/**
 * The supervisor's end of the control socket to `rlkit-ns init`. Until `attach` it reads by polling (nothing has to be loaded
 * for that); afterwards through Node's event loop.
 */
export class Control {
  readonly #fd: number;
  readonly #interrupted: () => void;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  #replies = new Map<number, (results: number[]) => void>();
  #exits: { pid: number; status: number }[] = [];
  #onExit: ExitListener = (pid, status) => this.#exits.push({ pid, status });
  #onLost: () => void = () => {};
  #lost = false;

  constructor(fd: number, interrupted: () => void) {
    this.#fd = fd;
    this.#interrupted = interrupted;
  }

  /**
   * Has init carry out instructions in order. Returns one result each: >= 0, or -errno; after one that failed and may not,
   * nothing follows.
   */
  run(instructions: readonly Instruction[]): Promise<number[]> {
    return this.#request((id) => encodeRun(id, instructions));
  }

  /** Starts a process inside; returns its pid as init sees it. Throws a SyscallError when it could not be executed. */
  async spawn(spec: InnerSpawn): Promise<number> {
    const [result = -1] = await this.#request((id) => encodeSpawn(id, spec));
    return check(result, "exec", spec.argv[0]);
  }

  /** Sends a signal to a process that `spawn` started, unless the terminal has sent it to the whole process group already. */
  async signal(pid: number, signo: number): Promise<void> {
    await this.#request((id) => encodeSignal(id, pid, signo));
  }

  /** Whom to tell that a process inside has ended, also of those that ended before this call. */
  onExit(listener: ExitListener): void {
    this.#onExit = listener;
    for (const { pid, status } of this.#exits.splice(0)) listener(pid, status);
  }

  /** Whom to tell that init is gone. */
  onLost(listener: () => void): void {
    this.#onLost = listener;
    if (this.#lost) listener();
  }

  /** Reads what comes within `milliseconds`, once. For the moments before `attach`. */
  async pump(milliseconds: number): Promise<void> {
    const ready = await untilReadable([this.#fd], milliseconds, this.#interrupted);
    if (ready.length > 0) this.#readOnce();
  }

  /** From here on Node's event loop reads; costs the loading of node:net. */
  async attach(): Promise<void> {
    const { Socket } = await import("node:net");
    this.#socket = new Socket({ fd: this.#fd, readable: true, writable: true });
    this.#socket.on("data", (bytes: Buffer) => this.#take(bytes));
    this.#socket.on("error", () => this.#lose());
    this.#socket.on("close", () => this.#lose());
  }

  /** Closes the socket: init then ends everything inside, and itself. */
  close(): void {
    this.#onLost = () => {};
    if (this.#socket !== undefined) this.#socket.destroy();
    else closeSync(this.#fd);
  }

  async #request(encode: (id: number) => Buffer): Promise<number[]> {
    const id = this.#nextId++;
    const frame = encode(id);
    let answer: number[] | undefined;
    const answered = new Promise<number[]>((resolve) => {
      this.#replies.set(id, (results) => {
        answer = results;
        resolve(results);
      });
    });
    if (this.#socket !== undefined) {
      this.#socket.write(frame);
      return Promise.race([answered, this.#untilLost()]);
    }
    this.#write(frame);
    const deadline = Date.now() + ANSWER_DEADLINE;
    while (answer === undefined) {
      await this.pump(100);
      if (answer === undefined && (this.#lost || Date.now() > deadline)) throw this.#lostError();
    }
    return answer;
  }

  #untilLost(): Promise<never> {
    return new Promise((_, reject) => this.#socket?.once("close", () => reject(this.#lostError())));
  }

  #lostError(): RlkitError {
    const why = this.#lost ? "it has ended" : `it did not answer within ${ANSWER_DEADLINE / 1000} s`;
    return new RlkitError("INIT_LOST", `lost rlkit-ns init, the process inside the namespaces: ${why}`, {
      hint: "something outside rlkit has ended it (the kernel's out-of-memory killer, perhaps: dmesg); start again",
    });
  }

  #write(frame: Buffer): void {
    for (let sent = 0; sent < frame.length; ) {
      try {
        sent += writeSync(this.#fd, frame, sent);
      } catch (error) {
        if (!isErrno(error, "EPIPE") && !isErrno(error, "ECONNRESET")) throw error;
        this.#lose();
        throw this.#lostError();
      }
    }
  }

  #readOnce(): void {
    const chunk = Buffer.alloc(16 * 1024);
    let bytes = 0;
    try {
      bytes = readSync(this.#fd, chunk);
    } catch (error) {
      if (!isErrno(error, "ECONNRESET")) throw error;
    }
    if (bytes === 0) this.#lose();
    else this.#take(chunk.subarray(0, bytes));
  }

  #take(bytes: Buffer): void {
    const { messages, rest } = decodeMessages(this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]));
    this.#rest = Buffer.from(rest);
    for (const message of messages) this.#dispatch(message);
  }

  #dispatch(message: Message): void {
    if (message.type === "exited") {
      this.#onExit(message.pid, message.status);
      return;
    }
    this.#replies.get(message.id)?.(message.results);
    this.#replies.delete(message.id);
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#onLost();
  }
}
