import { closeSync } from "node:fs";

const SERVER_PORT = 67;
const SLICE = 100; // milliseconds between two looks whether the launch is to end

/** What carries a DHCP client's messages. */
export interface Wire {
  send(message: Buffer, to: string): Promise<void>;
  /** The next datagram; undefined after `milliseconds`, or when it is closed. `interrupted` is asked meanwhile, and may throw. */
  receive(milliseconds: number, interrupted?: () => void): Promise<Buffer | undefined>;
  readonly closed: boolean;
  close(): void;
}

/** A UDP socket, by its descriptor, which belongs to this from here on. */
export class DatagramWire implements Wire {
  readonly #socket: Promise<import("node:dgram").Socket>;
  readonly #arrived: Buffer[] = [];
  #wake = (): void => {};
  closed = false;

  constructor(fd: number) {
    this.#socket = this.#open(fd);
  }

  async #open(fd: number): Promise<import("node:dgram").Socket> {
    const { createSocket } = await import("node:dgram");
    const socket = createSocket({ type: "udp4" });
    socket.on("message", (datagram) => {
      this.#arrived.push(datagram);
      this.#wake();
    });
    socket.on("error", () => {}); // of a message that could not be sent: it is sent again
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind({ fd }, () => resolve());
      });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    socket.unref();
    return socket;
  }

  async send(message: Buffer, to: string): Promise<void> {
    const socket = await this.#socket;
    if (this.closed) return;
    this.#arrived.length = 0; // answers to an earlier question
    await new Promise<void>((resolve) => socket.send(message, SERVER_PORT, to, () => resolve()));
  }

  async receive(milliseconds: number, interrupted?: () => void): Promise<Buffer | undefined> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const left = deadline - performance.now();
      const datagram = this.#arrived.shift();
      if (datagram !== undefined || left <= 0 || this.closed) return datagram;
      await this.#arrival(interrupted === undefined ? left : Math.min(left, SLICE));
      interrupted?.();
    }
  }

  #arrival(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#wake();
    this.#socket.then(
      (socket) => socket.close(),
      () => {},
    );
  }
}
