import { basename } from "node:path";
import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { turns } from "../ports/turns.ts";
import { type Effect, type Event, initialState, next, type Policy, type State, type Timer } from "./states.ts";
import type { Phase } from "./status.ts";

/** What the supervisor does to a target: everything of it that touches the system. */
export interface Hands {
  /** Starts the target, as that program; `ended` is called once with its wait status. Resolves to its pid as init sees it. */
  start(program: string, ended: (status: number) => void): Promise<number>;
  signal(pid: number, signo: number): void;
  /** Prepares the target's end (it is not just restarted), as far as it can be prepared. */
  prepareEnd(): Promise<void>;
  /** Ends what a dead target left running. */
  cleanUp(): Promise<void>;
  /** The supervised target has come into another phase. */
  entered(phase: Phase, state: State): void;
}

/**
 * Carries out what the state table says about one target. The first one runs already when this is made. Everything that happens
 * comes in by `take`, and `finished` is resolved when nothing is to follow.
 */
export class Supervisor {
  readonly finished: Promise<void>;
  readonly #policy: Policy;
  readonly #hands: Hands;
  readonly #timers = new Map<Timer, NodeJS.Timeout>();
  readonly #watchers = new Set<() => void>();
  readonly #inTurn = turns();
  #state: State;
  #target: number | undefined;
  #program: string;
  /** What ran before an upgrade, until the new program has shown that it works. */
  #former: string | undefined;
  #over = false;
  #finish: () => void = () => {};

  constructor(policy: Policy, hands: Hands, first: { program: string; pid: number }) {
    this.#policy = policy;
    this.#hands = hands;
    this.#program = first.program;
    this.#target = first.pid;
    this.#state = initialState(performance.now(), policy);
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get state(): State {
    return this.#state;
  }

  /** The target's pid as init sees it; undefined while there is none. */
  get target(): number | undefined {
    return this.#target;
  }

  /** The program that runs, or runs next. */
  get program(): string {
    return this.#program;
  }

  /** Something has happened. */
  take(event: Event): void {
    if (this.#over) return;
    if (event.type === "exited") this.#ended();
    const before = this.#state.phase;
    const { state, effects } = next(this.#state, event, performance.now(), this.#policy);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    if (state.phase === "ready" && before !== "ready") this.#former = undefined;
    if (state.phase !== before) this.#hands.entered(state.phase, state);
    for (const watcher of this.#watchers) watcher();
  }

  /** Starts the target again, as another program if one is named. Resolves when it is ready; throws RlkitError when it gets not. */
  async restart(program?: string): Promise<void> {
    if (this.#isEnding()) throw new RlkitError("INSTANCE", `${this.#policy.name} is ending already`);
    const asked = performance.now();
    if (program !== undefined) [this.#former, this.#program] = [this.#program, program];
    const wanted = this.#program;
    this.take({ type: "restart" });
    await this.#until(() => this.#isEnding() || (this.#state.phase === "ready" && this.#state.startedAt >= asked));
    if (this.#state.phase !== "ready" || this.#program !== wanted) {
      const what = this.#program === wanted ? `${this.#policy.name} did not get ready again` : `${wanted} did not work`;
      const how = this.#state.reasons.at(-1)?.reason ?? "";
      const now = this.#state.phase === "ready" ? `; ${this.#program} runs again` : "";
      throw new RlkitError("INSTANCE", `${what}: it ${how}${now}`, { hint: "see the log of rlkit run" });
    }
  }

  /** Resolves when the target is ready, when nothing more is to be expected, or after `milliseconds`. */
  async settled(milliseconds: number): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      for (const watcher of this.#watchers) watcher();
    }, milliseconds);
    await this.#until(() => late || this.#state.phase === "ready" || this.#isEnding());
    clearTimeout(timer);
  }

  /** Nothing is carried out any more: no timer of this is left. */
  close(): void {
    this.#over = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #isEnding(): boolean {
    return this.#state.phase === "stopping" || this.#state.phase === "failed";
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  #ended(): void {
    this.#target = undefined;
    if (this.#former !== undefined && this.#state.phase === "starting") this.#goBack("ended before it was ready");
  }

  #goBack(why: string): void {
    if (this.#former === undefined) return;
    log.warn(`${this.#program} ${why}: going back to ${this.#former}`);
    this.#program = this.#former;
    this.#former = undefined;
  }

  #carryOut(effect: Effect): void {
    switch (effect.do) {
      case "log":
        log[effect.level](effect.text);
        return;
      case "signal":
        this.#signal(effect.signo);
        return;
      case "end":
        this.#afterwards(async () => {
          await this.#hands.prepareEnd();
          this.#signal(effect.signo);
        });
        return;
      case "clean-up":
        this.#afterwards(() => this.#hands.cleanUp());
        return;
      case "start":
        this.#afterwards(() => this.#start());
        return;
      case "set-timer":
        this.#setTimer(effect.timer, effect.milliseconds);
        return;
      case "cancel-timer":
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.delete(effect.timer);
        return;
      case "finish":
        this.#afterwards(async () => this.#finish());
        return;
    }
  }

  /** Does what takes time, after what was begun before it. */
  #afterwards(act: () => Promise<void>): void {
    this.#inTurn(act).catch((error: unknown) => log.error(`a defect in rlkit's supervisor: ${String(error)}`));
  }

  #signal(signo: number): void {
    if (this.#target !== undefined) this.#hands.signal(this.#target, signo);
  }

  #setTimer(timer: Timer, milliseconds: number): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.set(
      timer,
      setTimeout(() => {
        this.#timers.delete(timer);
        this.take({ type: "timeout", timer });
      }, milliseconds),
    );
  }

  async #start(): Promise<void> {
    if (this.#target !== undefined || this.#over || this.#state.phase !== "restarting") return;
    try {
      // The end may be told before the start is: it belongs to a target that is known by then.
      let status: number | undefined;
      this.#target = await this.#hands.start(this.#program, (how) => {
        status = how;
        if (this.#target !== undefined && this.#state.phase !== "restarting")
          this.take({ type: "exited", status: how });
      });
      this.take({ type: "started" });
      if (status !== undefined) this.take({ type: "exited", status });
    } catch (error) {
      const why = error instanceof RlkitError ? error.message : String(error);
      this.#goBack("can't be started");
      this.take({ type: "not-started", why: `could not be started (${basename(this.#program)}: ${why})` });
    }
  }
}
