import { log } from "../log.ts";
import { sendNotify } from "../native/calls.ts";

/** What the service manager that started rlkit is told (sd_notify(3)); nothing where there is none. All of it comes from rlkit. */
export class Manager {
  readonly #socket: string | undefined;
  #status = "";

  constructor(socket: string | undefined) {
    this.#socket = socket;
  }

  /** The target can be used, for the first time or again. */
  ready(): void {
    this.#send(`READY=1\nMAINPID=${process.pid}`);
  }

  /** Its configuration is being read again; `ready` is to follow. */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** The end has begun, which may take that long (milliseconds) before the manager is to lose patience. */
  stopping(milliseconds: number | undefined): void {
    this.#send(`STOPPING=1${milliseconds === undefined ? "" : `\n${extension(milliseconds)}`}`);
  }

  /** What is to be done takes so long (milliseconds) more. */
  extend(milliseconds: number): void {
    this.#send(extension(milliseconds));
  }

  /** A sign of life. */
  alive(): void {
    this.#send("WATCHDOG=1");
  }

  /** One line for `systemctl status`; said when it differs from the last. */
  status(text: string): void {
    if (text === this.#status) return;
    this.#status = text;
    this.#send(`STATUS=${text}`);
  }

  #send(message: string): void {
    if (this.#socket === undefined) return;
    try {
      sendNotify(this.#socket, message);
    } catch (error) {
      log.debug(`cannot notify the service manager: ${(error as Error).message}`);
    }
  }
}

const extension = (milliseconds: number): string => `EXTEND_TIMEOUT_USEC=${Math.ceil(milliseconds * 1000)}`;

/** The assignments in a message of sd_notify(3). */
export function parseNotification(message: string): Map<string, string> {
  const lines = message.split("\n").filter((line) => line.includes("="));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}
