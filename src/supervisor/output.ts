import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { StringDecoder } from "node:string_decoder";
import { pollWritable } from "../native/calls.ts";

const KEPT = 20; // lines
const PIECE = 4096; // bytes that a pipe takes in one go if it is writable at all: PIPE_BUF (pipe(7))
const PATIENCE = 50; // milliseconds

/**
 * Passes on to standard error what the target writes to its own, and keeps the last lines. Whoever reads standard error may be
 * slow: then the target has to wait, as it would without rlkit, and rlkit does not.
 */
export class Output {
  readonly #fd: number;
  readonly #decoder = new StringDecoder();
  #socket: Socket | undefined;
  #waiting: Buffer[] = [];
  #lines: string[] = [];
  #unfinished = "";

  /** The reading end of the pipe that the target writes to. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The last lines, 20 at most. */
  get lastLines(): string[] {
    return [...this.#lines, this.#unfinished].filter((line) => line !== "").slice(-KEPT);
  }

  /** From here on Node's event loop reads. */
  async attach(): Promise<void> {
    const { Socket } = await import("node:net");
    this.#socket = new Socket({ fd: this.#fd, readable: true, writable: false });
    this.#socket.on("data", (bytes: Buffer) => {
      this.#keep(bytes);
      this.#waiting.push(bytes);
      this.#write();
    });
    this.#socket.on("error", () => this.#socket?.destroy());
    this.#socket.unref();
  }

  /** Passes on what is still in the pipe, as far as its reader takes it. */
  async drain(): Promise<void> {
    // What was written before the target's end is read in the turns of the loop that follow it.
    for (let quiet = 0; quiet < 3; quiet += 1) {
      const before = this.#lines.length;
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#lines.length !== before) quiet = 0;
    }
    this.#write();
    this.#socket?.destroy();
  }

  #keep(bytes: Buffer): void {
    const lines = (this.#unfinished + this.#decoder.write(bytes)).split("\n");
    this.#unfinished = (lines.pop() ?? "").slice(-PIECE);
    this.#lines = [...this.#lines, ...lines].slice(-KEPT);
  }

  #write(): void {
    while (this.#waiting.length > 0) {
      const [bytes = Buffer.alloc(0), ...rest] = this.#waiting;
      if (!pollWritable(2)) {
        this.#socket?.pause();
        setTimeout(() => this.#write(), PATIENCE).unref();
        return;
      }
      try {
        const written = writeSync(2, bytes, 0, Math.min(PIECE, bytes.length));
        this.#waiting = written < bytes.length ? [bytes.subarray(written), ...rest] : rest;
      } catch {
        this.#waiting = []; // nobody reads it any more
      }
    }
    this.#socket?.resume();
  }
}
