import { setTimeout as pause } from "node:timers/promises";
import type { Control } from "../launch/control.ts";
import { elapsed } from "../launch/wait.ts";
import { log } from "../log.ts";
import { pollReadable } from "../native/calls.ts";
import { errnoName } from "../native/errno.ts";
import { printOperation } from "../plan/print.ts";
import { formatSeconds } from "../supervisor/format.ts";
import { describeEnd } from "../supervisor/states.ts";
import { Answers } from "./answers.ts";
import { Backoff } from "./backoff.ts";
import type { ReasonedInstruction } from "./driver.ts";
import type { HelperProcess } from "./helper-process.ts";

/** How often it is asked whether the helper still answers, and how long an answer may take: the kernel asks three times. Milliseconds. */
const LOOK_EVERY = 5000;
const ANSWER_WITHIN = 3000;
/** Unanswered questions in a row after which a helper hangs. */
const MISSES = 2;
/** How often a helper that starts is looked after. Milliseconds. */
const GLANCE = 5;

type Helper = Pick<
  HelperProcess,
  "name" | "pid" | "running" | "ready" | "watch" | "wake" | "gone" | "stop" | "nameServers"
>;

interface KeeperSetting {
  /** The helper, which is ready. */
  first: Helper;
  /** Starts another for the same namespaces. */
  start(): Helper;
  control: Pick<Control, "run">;
  /** What init does once a helper is ready. */
  after: readonly ReasonedInstruction[];
  /** The pid, outside, of a process in the network namespace. */
  init: number;
  ifname: string;
  /** An address for which the helper answers. */
  gateway: string;
  /** For a helper that learns the host's name servers only when it starts: what they are now. */
  nameServers?: () => string;
  lookEvery?: number;
  answers?: Pick<Answers, "within">;
}

/** Keeps slirp4netns or pasta running for one run: one that ends, or does not answer any more, is started again. */
export class HelperKeeper {
  /** Has the port driver open its forwards in a new helper. */
  replay: () => Promise<void> = async () => {};
  readonly #setting: KeeperSetting;
  readonly #answers: Pick<Answers, "within">;
  readonly #backoff = new Backoff();
  readonly #stopping = new AbortController();
  #helper: Helper;
  #lostAt: number | undefined;
  #restarts = 0;
  #degraded: string | undefined;
  #looks: NodeJS.Timeout | undefined;

  constructor(setting: KeeperSetting) {
    const { control, init, ifname, gateway: address } = setting;
    this.#setting = setting;
    this.#helper = setting.first;
    this.#answers = setting.answers ?? new Answers({ control, init, ifname, address });
  }

  get name(): string {
    return this.#helper.name;
  }

  /** The pid of the guard, below which the helper runs. */
  get pid(): number {
    return this.#helper.pid;
  }

  /** Whether there is a network: a helper that is being started does not count. */
  get running(): boolean {
    return this.#lostAt === undefined && this.#helper.running;
  }

  /** How often another was started. */
  get restarts(): number {
    return this.#restarts;
  }

  /** What is wrong, while it keeps failing. */
  get degraded(): string | undefined {
    return this.#degraded;
  }

  /** From here on its loss is noticed. */
  async watch(): Promise<void> {
    await this.#observe(this.#helper);
    const { lookEvery = LOOK_EVERY } = this.#setting;
    let busy = false;
    this.#looks = setInterval(async () => {
      if (busy) return;
      busy = true;
      await this.#look().catch((error: unknown) => log.debug(String(error)));
      busy = false;
    }, lookEvery);
    this.#looks.unref();
    if (this.#isOver) clearInterval(this.#looks);
  }

  /** Ends the helper and starts no other; `gone` tells when it has ended. */
  stop(): void {
    this.#stopping.abort();
    clearInterval(this.#looks);
    this.#helper.stop();
  }

  /** Waits until the helper, told to stop, is gone. */
  gone(): Promise<void> {
    return this.#helper.gone();
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted;
  }

  #observe(helper: Helper): Promise<void> {
    return helper.watch((status) => {
      // One that ends while it is started is the business of whoever starts it.
      if (helper === this.#helper && this.#lostAt === undefined) this.#lose(`ended (${describeHelperEnd(status)});`);
    });
  }

  async #look(): Promise<void> {
    const helper = this.#helper;
    helper.wake();
    const { nameServers } = this.#setting;
    if (this.#lostAt === undefined && nameServers !== undefined && nameServers() !== helper.nameServers) {
      this.#lose("does not know of the host's new name servers (/etc/resolv.conf):");
      return;
    }
    for (let misses = 0; misses < MISSES; misses += 1) {
      if (this.#lostAt !== undefined || (await this.#answers.within(ANSWER_WITHIN))) return;
    }
    if (this.#isOver || this.#lostAt !== undefined || helper !== this.#helper) return;
    this.#lose("does not answer (stopped, or hung):");
  }

  /** There is no network any more, for that reason. */
  #lose(why: string): void {
    if (this.#isOver) return;
    this.#lostAt = performance.now();
    this.#recover(why).catch((error: unknown) =>
      log.error(`a defect in rlkit's keeper of ${this.name}: ${String(error)}`),
    );
  }

  async #recover(why: string): Promise<void> {
    for (let reason = why; ; ) {
      const delay = this.#failed(reason);
      await this.#end();
      if (delay > 0) await elapsed(delay, this.#stopping.signal);
      if (this.#isOver) return;
      try {
        await this.#start();
        break;
      } catch (error) {
        if (this.#isOver) return;
        reason = `${(error as Error).message.replace(`${this.name} `, "")};`;
      }
    }
    if (this.#isOver) return;
    log.info(`${this.name} is back after ${formatSeconds(performance.now() - (this.#lostAt ?? 0))}`);
    this.#lostAt = undefined;
    this.#degraded = undefined;
  }

  /** Says what has failed (with the sign behind which the sentence goes on); returns the milliseconds until the next try. */
  #failed(reason: string): number {
    const delay = this.#backoff.failed(performance.now());
    const often = this.#backoff.often(performance.now());
    if (often === undefined) {
      log.warn(`${this.name} ${reason} starting it again`);
      return delay;
    }
    const sentence = `${this.name} ${often}: no network inside until it comes back; next try in ${delay / 1000} s`;
    if (this.#degraded === undefined) log.error(sentence, { reason: reason.slice(0, -1) });
    else log.debug(`${this.name} ${reason.slice(0, -1)}`);
    this.#degraded = sentence;
    return delay;
  }

  /** Ends what is left of the last one: it may hang, or be half started. */
  async #end(): Promise<void> {
    this.#helper.stop();
    await this.#helper.gone();
  }

  async #start(): Promise<void> {
    this.#restarts += 1;
    const helper = this.#setting.start();
    this.#helper = helper;
    await helper.ready(() => {}, glance);
    await this.#observe(helper);
    await this.#configure();
    await this.replay().catch((error: unknown) => log.error(`ports are not published any more: ${String(error)}`));
    if (!helper.running) throw new Error("ended at once");
  }

  /** What of it is there already stays: init's operations do not mind. */
  async #configure(): Promise<void> {
    const { control, after } = this.#setting;
    const results = await control.run(after);
    for (const [i, result] of results.entries()) {
      const { op } = after[i] ?? {};
      if (op !== undefined && result < 0)
        throw new Error(`does not help: cannot ${printOperation(op)}: ${errnoName(-result)}`);
    }
  }
}

/** What a shell would say of the helper's end is what its guard ends with. */
function describeHelperEnd(status: number): string {
  const code = (status >> 8) & 0xff;
  return describeEnd((status & 0x7f) === 0 && code > 128 ? code - 128 : status);
}

/** Looks for readable descriptors once, with a pause before if need be: unlike at the start, there is an event loop to be kept going. */
async function glance(fds: readonly number[]): Promise<number[]> {
  const ready = pollReadable(fds, 0);
  if (ready.length === 0) await pause(GLANCE, undefined, { ref: false });
  return ready;
}
