import { RlkitError } from "../errors.ts";
import { check } from "../native/errno.ts";
import {
  decodeInit,
  encodeRun,
  encodeSignal,
  encodeSpawn,
  encodeWatch,
  type InnerSpawn,
  type Message,
} from "../plan/encoding.ts";
import type { Instruction } from "../plan/operations.ts";
import { FrameSocket } from "./frame-socket.ts";

/** What the target has said on its NOTIFY_SOCKET (sd_notify(3)). */
export type NotifyListener = (message: string) => void;

/** How a process inside has ended: its wait status (waitpid(2)). */
export type EndListener = (status: number) => void;

function lost(why: string): RlkitError {
  return new RlkitError("INIT_LOST", `lost rlkit-ns init, the process inside the namespaces: ${why}`, {
    hint: "something outside rlkit has ended it (the kernel's out-of-memory killer, perhaps: dmesg); start again",
  });
}

/** What the supervisor asks of `rlkit-ns init`. */
export class Control {
  readonly #socket: FrameSocket<Message>;
  /** Processes that ended before anybody asked, and those who asked. */
  readonly #ended = new Map<number, number>();
  readonly #listeners = new Map<number, EndListener>();
  readonly #said: string[] = [];
  #onNotify: NotifyListener | undefined;
  #attached = false;

  constructor(fd: number, interrupted: () => void) {
    this.#socket = new FrameSocket(fd, {
      decode: decodeInit,
      lost,
      interrupted,
      event: (message) => this.#take(message),
    });
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
    const [result = -1] = await this.#request((id) => encodeSpawn(id, spec), spec.fds);
    return check(result, "exec", spec.argv[0]);
  }

  /** Sends a signal to a process that `spawn` started, unless the terminal has sent it to the whole process group already. */
  async signal(pid: number, signo: number): Promise<void> {
    await this.#request((id) => encodeSignal(id, pid, signo));
  }

  /** Whom to tell that a process which `spawn` started has ended, also when it did before this call. */
  onEnd(pid: number, listener: EndListener): void {
    const status = this.#ended.get(pid);
    this.#ended.delete(pid);
    if (status === undefined) this.#listeners.set(pid, listener);
    else listener(status);
  }

  /** Resolves to the wait status of a process that `spawn` started, when it has ended. */
  async waitEnd(pid: number): Promise<number> {
    let ended: number | undefined;
    const end = new Promise<number>((resolve) =>
      this.onEnd(pid, (status) => {
        ended = status;
        resolve(status);
      }),
    );
    while (!this.#attached && ended === undefined) await this.#socket.pump(100);
    return end;
  }

  /** Has init pass on what comes to a Unix datagram socket, of which this process may then close its descriptor. */
  async watch(fd: number): Promise<void> {
    await this.#request(encodeWatch, [fd]);
  }

  /** Whom to tell what comes there, also what came before this call. */
  onNotify(listener: NotifyListener): void {
    this.#onNotify = listener;
    for (const message of this.#said.splice(0)) listener(message);
  }

  /** Whether init answers within so many milliseconds. */
  async answers(milliseconds: number): Promise<boolean> {
    const silence = new Promise<false>((resolve) => setTimeout(() => resolve(false), milliseconds).unref());
    return await Promise.race([this.run([]).then(() => true), silence]).catch(() => false);
  }

  /** Whom to tell that init is gone. */
  onLost(listener: () => void): void {
    this.#socket.onLost(listener);
  }

  /** Reads what comes within `milliseconds`, once. For the moments before `attach`. */
  pump(milliseconds: number): Promise<void> {
    return this.#socket.pump(milliseconds);
  }

  /** From here on Node's event loop reads. */
  attach(): Promise<void> {
    this.#attached = true;
    return this.#socket.attach();
  }

  /** Closes the socket: init then ends everything inside, and itself. */
  close(): void {
    this.#socket.close();
  }

  async #request(encode: (id: number) => Buffer, fds?: readonly number[]): Promise<number[]> {
    const answer = await this.#socket.request(encode, fds);
    if (answer.type !== "reply") throw new Error("rlkit-ns init answered with something else");
    return answer.results;
  }

  #take(message: Message): void {
    if (message.type === "notified") {
      if (this.#onNotify === undefined) this.#said.push(message.message);
      else this.#onNotify(message.message);
    }
    if (message.type !== "exited") return;
    const listener = this.#listeners.get(message.pid);
    this.#listeners.delete(message.pid);
    if (listener === undefined) this.#ended.set(message.pid, message.status);
    else listener(message.status);
  }
}
