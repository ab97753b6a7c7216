import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { start } from "../../test/helpers/run.ts";
import type { Fault } from "./plan.ts";
import type { Clients } from "./requests.ts";
import { type Roots, send, startOf, victims } from "./victims.ts";

const RESTART_WITHIN = 60_000;

/** Where the faults are done. */
interface Setting extends Roots {
  /** The runnable tree. */
  readonly tree: string;
  readonly clients: Clients;
}

/** Does faults, and keeps what has to be undone or waited for. */
export class Faults {
  /** The dockerds of which a docker-proxy was killed: pid and start. */
  readonly #setting: Setting;
  /** The dockerds that have lost a docker-proxy. */
  readonly #bereft = new Set<string>();
  readonly #stopped = new Map<number, string | undefined>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(setting: Setting) {
    this.#setting = setting;
  }

  /** Does one; resolves at once, to what was done. `later` gets what comes of one that takes longer. */
  async act(fault: Fault, later: (text: string) => void): Promise<string> {
    switch (fault.do) {
      case "signal":
        return await this.#signal(fault);
      case "pause":
        return await this.#pause(fault);
      case "restart":
        this.#keep(this.restart().then(later));
        return "rlkit restart";
      case "request":
        this.#keep(this.#setting.clients.request(fault).then(later));
        return `a client of the API: ${fault.what}`;
    }
  }

  /** Whether clients of a published port were ever refused, and rightly: its docker-proxy was killed. */
  get proxiesEverLost(): boolean {
    return this.#bereft.size > 0;
  }

  /**
   * Whether the dockerd that runs now has lost a docker-proxy. It starts them when it starts, and never looks after them: such a
   * port comes back with dockerd's next start only.
   */
  async proxiesLost(): Promise<boolean> {
    return (await this.#dockerds()).some((dockerd) => this.#bereft.has(dockerd));
  }

  /** Lets all stopped processes go on, and waits for what is under way. */
  async settle(): Promise<void> {
    for (const pid of this.#stopped.keys()) this.#continue(pid);
    await Promise.all(this.#underWay);
  }

  /** `rlkit restart`, as the user types it; resolves to what came of it. */
  async restart(): Promise<string> {
    const { user, tree } = this.#setting;
    await using command = start(user, [join(tree, "bin", "rlkit"), "restart"]);
    const { code, stderr } = await command.result(RESTART_WITHIN);
    return `rlkit restart: status ${code}${code === 0 ? "" : `: ${stderr.trim().split("\n").at(-1)}`}`;
  }

  async #signal({ role, signal, chance }: Extract<Fault, { do: "signal" }>): Promise<string> {
    const pid = await this.#choose(role, chance);
    if (pid === undefined || !send(pid, signal)) return `${signal} to ${role}: there is none`;
    if (role.endsWith("docker-proxy")) for (const dockerd of await this.#dockerds()) this.#bereft.add(dockerd);
    return `${signal} to ${role} (pid ${pid})`;
  }

  async #pause({ role, milliseconds, chance }: Extract<Fault, { do: "pause" }>): Promise<string> {
    const pid = await this.#choose(role, chance);
    const what = `SIGSTOP to ${role}`;
    if (pid === undefined || !send(pid, "SIGSTOP")) return `${what}: there is none`;
    this.#stopped.set(pid, startOf(pid));
    this.#keep(pause(milliseconds).then(() => this.#continue(pid)));
    return `${what} (pid ${pid}) for ${milliseconds} ms`;
  }

  async #choose(role: Parameters<typeof victims>[1], chance: number): Promise<number | undefined> {
    const pids = await victims(this.#setting, role);
    return pids[Math.floor(chance * pids.length)];
  }

  /** None or one, by what names it for ever. */
  async #dockerds(): Promise<string[]> {
    return (await victims(this.#setting, "dockerd")).map((pid) => `${pid} ${startOf(pid)}`);
  }

  /** Nothing is sent to a process that has got the number since. */
  #continue(pid: number): void {
    const started = this.#stopped.get(pid);
    this.#stopped.delete(pid);
    if (started !== undefined && startOf(pid) === started) send(pid, "SIGCONT");
  }

  #keep(task: Promise<void>): void {
    this.#underWay.add(task);
    void task.finally(() => this.#underWay.delete(task));
  }
}
