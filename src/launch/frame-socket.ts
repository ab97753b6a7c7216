import { closeSync, readSync } from "node:fs";
import type { Socket } from "node:net";
import { isErrno, type RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { sendAll } from "../native/calls.ts";
import { cutFrames, type Decode } from "../plan/frames.ts";
import { untilReadable } from "./wait.ts";

const ANSWER_DEADLINE = 30_000; // milliseconds: no request waits for anything but the kernel

/** Descriptors that may go with one message: native/protocol.h's RL_FDS_MAX. */
const MAX_FDS = 16;

interface Peer<Message> {
  decode: Decode<Message>;
  /** The error for a request that gets no answer, and why. */
  lost(why: string): RlkitError;
  /** A message that answers no request. */
  event?(message: Message): void;
  /** A request has had no answer in time. */
  silent?(): void;
  /** Asked while a request waits and nothing else runs yet; may throw. */
  interrupted(): void;
}

/**
 * The supervisor's end of a control socket: requests with their answers, and what comes unasked. Until `attach` it reads by
 * polling (nothing has to be loaded for that); afterwards through Node's event loop. It always writes by itself, because
 * Node can't pass descriptors.
 */
export class FrameSocket<Message extends object> {
  readonly #fd: number;
  readonly #peer: Peer<Message>;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #nextId = 1;
  #waiting = new Map<number, { resolve(message: Message): void; reject(error: RlkitError): void }>();
  #onLost: () => void = () => {};
  #unsent: { frames: Buffer[]; fds: number[] } = { frames: [], fds: [] };
  #pumping: Promise<void> | undefined;
  #lost = false;
  #closed = false;

  constructor(fd: number, peer: Peer<Message>) {
    this.#fd = fd;
    this.#peer = peer;
  }

  /** Sends the frame that `encode` makes with a new id, with descriptors; resolves to the message that answers it.
   * Fails when none has come `within` milliseconds. */
  async request(
    encode: (id: number) => Buffer,
    fds: readonly number[] = [],
    within = ANSWER_DEADLINE,
  ): Promise<Message> {
    const id = this.#nextId++;
    const bytes = encode(id);
    let answer: Message | undefined;
    const answered = new Promise<Message>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    answered.then(
      (message) => {
        answer = message;
      },
      () => {}, // the caller gets it
    );
    this.#write(bytes, fds);
    const deadline = Date.now() + within;
    while (this.#socket === undefined && answer === undefined && this.#waiting.has(id)) {
      await this.pump(100);
      if (Date.now() > deadline) this.#giveUp(id, within);
    }
    if (!this.#waiting.has(id)) return answered;
    const timer = setTimeout(() => this.#giveUp(id, within), deadline - Date.now());
    timer.unref();
    return answered.finally(() => clearTimeout(timer));
  }

  /** Ends the wait for an answer. One that comes later is dropped. */
  #giveUp(id: number, within: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting === undefined) return;
    waiting.reject(this.#peer.lost(`it did not answer within ${within / 1000} s`));
    this.#peer.silent?.();
  }

  /** Whom to tell, once, that the peer is gone. */
  onLost(listener: () => void): void {
    this.#onLost = listener;
    if (this.#lost) listener();
  }

  /** Reads what comes within `milliseconds`, once. For the moments before `attach`. */
  pump(milliseconds: number): Promise<void> {
    // Two at a time would both see the same bytes coming, and the second would wait for them for ever.
    this.#pumping ??= this.#pump(milliseconds).finally(() => {
      this.#pumping = undefined;
    });
    return this.#pumping;
  }

  async #pump(milliseconds: number): Promise<void> {
    const ready = await untilReadable([this.#fd], milliseconds, this.#peer.interrupted);
    if (ready.length > 0) this.#readOnce();
  }

  /** From here on Node's event loop reads; costs the loading of node:net. */
  async attach(): Promise<void> {
    const { Socket } = await import("node:net");
    if (this.#lost || this.#closed) return;
    this.#socket = new Socket({ fd: this.#fd, readable: true, writable: true });
    this.#socket.on("data", (bytes: Buffer) => this.#take(bytes));
    this.#socket.on("error", () => this.#lose());
    this.#socket.on("close", () => this.#lose());
  }

  /** Closes the socket: the peer sees its end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onLost = () => {};
    if (this.#socket !== undefined) this.#socket.destroy();
    else closeSync(this.#fd);
  }

  /**
   * Sends a frame: at once as long as nothing else runs, later together with those that are asked for at the same time. The
   * other side takes descriptors in their order, so those of several frames can go with the first.
   */
  #write(bytes: Buffer, fds: readonly number[]): void {
    if (this.#lost || this.#closed) throw this.#peer.lost("it has ended");
    if (this.#unsent.fds.length + fds.length > MAX_FDS) this.#flush();
    this.#unsent.frames.push(bytes);
    this.#unsent.fds.push(...fds);
    if (this.#socket === undefined) this.#flush();
    else if (this.#unsent.frames.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const { frames, fds } = this.#unsent;
    if (frames.length === 0 || this.#lost || this.#closed) return;
    this.#unsent = { frames: [], fds: [] };
    try {
      sendAll(this.#fd, frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames), fds);
    } catch (error) {
      if (!isErrno(error, "EPIPE") && !isErrno(error, "ECONNRESET")) log.error(`a defect in rlkit: ${error}`);
      this.#lose();
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
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const { messages, rest } = cutFrames(all, this.#peer.decode);
    this.#rest = Buffer.from(rest);
    for (const message of messages) {
      const id = "id" in message ? (message.id as number) : 0;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (waiting !== undefined) waiting.resolve(message);
      else this.#peer.event?.(message);
    }
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    for (const { reject } of this.#waiting.values()) reject(this.#peer.lost("it has ended"));
    this.#waiting.clear();
    this.#onLost();
  }
}
