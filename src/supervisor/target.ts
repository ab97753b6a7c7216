import { closeSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Instance } from "../launch/launch.ts";
import { log } from "../log.ts";
import type { SupervisionOptions } from "../options/supervision.ts";
import type { PlannedRun } from "../plan/planner.ts";
import type { Ports } from "../ports/ports.ts";
import { writeLiveRestore } from "../profiles/live-restore.ts";
import { formatSeconds } from "./format.ts";
import { type Manager, parseNotification } from "./manager.ts";
import type { Output } from "./output.ts";
import { answers, asksLiveRestore, askVersion } from "./probe.ts";
import { descendants, endLeftovers, innerPid } from "./processes.ts";
import type { State } from "./states.ts";
import type { Phase } from "./status.ts";
import type { Hands, Supervisor } from "./supervisor.ts";

const { SIGHUP } = constants.signals;

const LOOK_EVERY = 100; // milliseconds, while the target starts
const ANSWER_WITHIN = 5000;
/** The time in which dockerd reads its configuration again. */
const RELOAD_WITHIN = 2000;
/** How long connections to a target that is away are kept waiting. */
const HOLD = 60_000;
/** From readiness to the moment at which ports that nobody has asked for again are dropped. */
const CLAIM_WITHIN = 5000;

interface Setting {
  instance: Instance;
  plan: PlannedRun;
  options: SupervisionOptions;
  manager: Manager;
  output: Output | undefined;
  ports: Ports | undefined;
  /** Told of everything that happens. */
  busy(): void;
}

/** The target as the supervisor deals with it: what is known about its kind, and what others are told about it. */
export class Target implements Hands {
  readonly name: string;
  readonly #setting: Setting;
  #supervisor: Supervisor | undefined;
  #readyFd: number | undefined;
  #version: string | undefined;
  /** What it says about itself (sd_notify(3)). */
  #says: string | undefined;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#readyFd = setting.options.readyFd;
    this.name = basename(setting.plan.profile.command[0] ?? "");
  }

  /** The target runs: readiness is waited for, and what it notifies is heard. */
  attach(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
    this.entered(supervisor.state.phase, supervisor.state);
    this.#setting.instance.control.onNotify((message) => this.#hear(message));
  }

  async start(program: string, ended: (status: number) => void): Promise<number> {
    const { instance } = this.#setting;
    const pid = await instance.startTarget(program);
    instance.control.onEnd(pid, ended);
    return pid;
  }

  signal(pid: number, signo: number): void {
    if (signo === SIGHUP && this.#daemon !== undefined) void this.#reload();
    this.#send(pid, signo);
  }

  async prepareEnd(): Promise<void> {
    const { liveRestore, socket } = this.#daemon ?? {};
    const pid = this.#supervisor?.target;
    if (liveRestore === undefined || socket === undefined || pid === undefined || !this.#isReady) return;
    writeLiveRestore(liveRestore, false);
    this.#send(pid, SIGHUP);
    const deadline = performance.now() + RELOAD_WITHIN;
    while (performance.now() < deadline && (await asksLiveRestore(socket, RELOAD_WITHIN))) await pause(20);
  }

  async cleanUp(): Promise<void> {
    const killed = await endLeftovers(this.#setting.instance.init.pid);
    if (killed.length > 0)
      log.warn(`had to kill what ${this.name} left behind: ${killed.map(({ name }) => name).join(", ")}`);
  }

  entered(phase: Phase, state: State): void {
    const { manager, options, ports, output } = this.#setting;
    switch (phase) {
      case "starting":
        void this.#awaitReadiness(state.startedAt);
        break;
      case "ready":
        this.#tellReady(state);
        break;
      case "restarting":
        ports?.table.targetEnded();
        void ports?.portd?.hold(HOLD);
        break;
      case "stopping":
        manager.stopping(options.stopTimeout);
        break;
      case "failed":
        for (const line of output?.lastLines ?? []) log.error(`  | ${line}`);
    }
    this.describe();
  }

  /** Says in one line how things stand, to whom it may concern. */
  describe(): void {
    const { manager, ports, busy } = this.#setting;
    busy();
    const { phase, readyAfter, restarts } = this.#supervisor?.state ?? {};
    const name = [this.name, this.#version].filter(Boolean).join(" ");
    const took = phase === "ready" && readyAfter !== undefined ? ` in ${formatSeconds(readyAfter)}` : "";
    const facts = [count(ports?.table.size ?? 0, "port"), count(restarts ?? 0, "restart")];
    manager.status([`${name} ${phase}${took}`, ...facts, ...(this.#says === undefined ? [] : [this.#says])].join(", "));
  }

  /** Whether it does not hang, as far as that can be known: it answers, or at least it is not stopped. */
  async isHealthy(): Promise<boolean> {
    const { socket } = this.#daemon ?? {};
    if (!this.#isReady) return true; // whoever waits for readiness has a deadline for it
    if (socket !== undefined) return await answers(socket, ANSWER_WITHIN);
    const pid = this.#supervisor?.target;
    const process = descendants(this.#setting.instance.init.pid).find((each) => innerPid(each.pid) === pid);
    return process?.state !== "T";
  }

  get #daemon() {
    return this.#setting.plan.profile.daemon;
  }

  get #isReady(): boolean {
    return this.#supervisor?.state.readyAt !== undefined;
  }

  /** Whether the run that began at that moment is still the one, in that phase. */
  #isStill(phase: Phase, startedAt: number): boolean {
    const { state } = this.#supervisor ?? {};
    return state?.phase === phase && state.startedAt === startedAt;
  }

  #send(pid: number, signo: number): void {
    this.#setting.instance.control.signal(pid, signo).catch((error: Error) => log.debug(error.message));
  }

  /** Has dockerd read its configuration, and tells when that is done. */
  async #reload(): Promise<void> {
    const { liveRestore, socket } = this.#daemon ?? {};
    const { manager } = this.#setting;
    if (liveRestore !== undefined) writeLiveRestore(liveRestore, true);
    manager.reloading();
    if (socket !== undefined) await answers(socket, ANSWER_WITHIN);
    if (this.#isReady) manager.ready();
  }

  /** A target that nobody knows anything about is ready at once; any other says so, or answers. */
  async #awaitReadiness(startedAt: number): Promise<void> {
    const { socket } = this.#daemon ?? {};
    if (this.#daemon === undefined && this.#setting.options.manager === undefined) {
      this.#supervisor?.take({ type: "ready" });
      return;
    }
    while (socket !== undefined && this.#isStill("starting", startedAt)) {
      if (await answers(socket, ANSWER_WITHIN)) {
        if (this.#isStill("starting", startedAt)) this.#supervisor?.take({ type: "ready" });
        return;
      }
      await pause(LOOK_EVERY);
    }
  }

  #tellReady({ startedAt, restarts }: State): void {
    const { manager, ports, options } = this.#setting;
    manager.ready();
    if (this.#readyFd !== undefined) tellByDescriptor(this.#readyFd);
    this.#readyFd = undefined;
    void this.#learnVersion();
    if (options.healthInterval > 0) void this.#watchHealth(startedAt);
    if (restarts === 0 || ports === undefined) return;
    ports.table.targetReady();
    setTimeout(() => {
      if (this.#isStill("ready", startedAt)) void this.#dropOrphans(ports);
    }, CLAIM_WITHIN).unref();
  }

  async #dropOrphans({ table, portd }: Ports): Promise<void> {
    await portd?.hold(0);
    const dropped = await table.dropOrphans();
    if (dropped > 0) log.info(`dropped ${count(dropped, "published port")} that ${this.name} has not asked for again`);
    this.describe();
  }

  async #learnVersion(): Promise<void> {
    const { socket } = this.#daemon ?? {};
    if (socket === undefined) return;
    this.#version = await askVersion(socket);
    this.describe();
  }

  async #watchHealth(startedAt: number): Promise<void> {
    const { socket } = this.#daemon ?? {};
    while (socket !== undefined && this.#isStill("ready", startedAt)) {
      await pause(this.#setting.options.healthInterval);
      if (!this.#isStill("ready", startedAt) || (await answers(socket, ANSWER_WITHIN))) continue;
      const why = `did not answer within ${ANSWER_WITHIN / 1000} s (--health-interval)`;
      if (this.#isStill("ready", startedAt)) this.#supervisor?.take({ type: "unhealthy", why });
      return;
    }
  }

  #hear(message: string): void {
    const { manager } = this.#setting;
    const said = parseNotification(message);
    const extension = Number(said.get("EXTEND_TIMEOUT_USEC"));
    if (extension > 0) manager.extend(extension / 1000);
    if (said.has("STATUS")) this.#says = said.get("STATUS");
    if (said.get("RELOADING") === "1" && this.#daemon === undefined) manager.reloading();
    if (said.get("READY") === "1") {
      // Said again, it is the end of a reload.
      if (this.#isReady && this.#daemon === undefined) manager.ready();
      this.#supervisor?.take({ type: "ready" });
    }
    this.describe();
  }
}

/** A number of things, for people. */
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** A newline, as s6's readiness notification has it. */
function tellByDescriptor(fd: number): void {
  try {
    writeSync(fd, "\n");
    closeSync(fd);
  } catch (error) {
    log.warn(`cannot write to --ready-fd=${fd}: ${(error as Error).message}`);
  }
}
