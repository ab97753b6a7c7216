import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { losses } from "./capabilities.ts";
import type { PortCounters, PortDriver, PortOwner, PortSpec, PortStatus } from "./driver.ts";
import { formatPortSpec, listenName, type UncheckedSpec, validatePortSpec } from "./spec.ts";

interface Entry {
  /** The driver's number for it. Ids are given to ports that are published; drivers need a number before. */
  key: number;
  status: PortStatus;
  owner: PortOwner;
  /** The target that asked for it has ended; it may be claimed. */
  orphan: boolean;
  /** A change that is under way is about to adopt or replace this orphan. */
  claimed: boolean;
  /** How often it was adopted. */
  adoptions: number;
}

/** What `add` and `addAll` may be told. */
interface AddOptions {
  owner?: PortOwner;
}

/** Milliseconds between the end of a docker-proxy and that of its port: time to learn that the target has ended, too. */
const GRACE = 500;

/**
 * The published ports of a run, with the ids 1, 2, 3 and so on, none of them twice. Whatever is asked at the same time, no two
 * ports listen at the same place, and who asks for one that is being added or removed waits for the outcome. Places are compared
 * by name, as RootlessKit does: whether `tcp` and `tcp4` go together, the kernel decides.
 */
export class PortTable {
  readonly #driver: PortDriver;
  readonly #warn: (text: string) => void;
  readonly #ports = new Map<number, Entry>();
  /** The places in use: by a port's id, or by a change that is under way. */
  readonly #places = new Map<string, number | Promise<void>>();
  readonly #changes = new Set<Promise<void>>();
  readonly #warned = new Set<string>();
  #lastKey = 0;
  #lastId = 0;
  #closed = false;
  /** How often the target has ended. */
  #ends = 0;
  /** Whether orphans are kept for a target that is to come back. */
  #keeping = false;

  constructor(driver: PortDriver, warn: (text: string) => void = (text) => log.warn(text)) {
    this.#driver = driver;
    this.#warn = warn;
  }

  /** Publishes a port. Throws RlkitError("PORT"); a failure takes no id. */
  async add(spec: UncheckedSpec, options: AddOptions = {}): Promise<PortStatus> {
    const [status] = await this.addAll([spec], options);
    return status as PortStatus;
  }

  /**
   * Publishes all of the ports, with ids in their order, or none of them. An orphan with the same spec is adopted, with its id;
   * one that only listens at the same place makes room, even if something fails later.
   */
  async addAll(unchecked: readonly UncheckedSpec[], { owner = "user" }: AddOptions = {}): Promise<PortStatus[]> {
    const ends = this.#ends;
    const specs = unchecked.map(validatePortSpec);
    const places = specs.filter(({ parentPort }) => parentPort !== 0).map(listenName);
    const known = new Set<string>();
    const twice = places.find((name) => known.size === known.add(name).size);
    if (twice !== undefined) throw new RlkitError("PORT", `conflict: ${twice} is there twice`);
    const { claims, done } = await this.#reserve(places);
    try {
      const same = new Map<string, Entry>();
      const others: Entry[] = [];
      for (const spec of claims.size === 0 ? [] : specs) {
        const entry = claims.get(listenName(spec));
        if (entry === undefined) continue;
        if (formatPortSpec(spec) === formatPortSpec(entry.status.spec)) same.set(listenName(spec), entry);
        else others.push(entry);
      }
      await this.#replace(others);
      const adopted = specs.map((spec) => same.get(listenName(spec)));
      const opened = await this.#openAll(specs.filter((_, index) => adopted[index] === undefined));
      let next = 0;
      return specs.map((_, index) => {
        const entry = adopted[index] ?? this.#enter(opened[next++] as { key: number; spec: PortSpec });
        return this.#give(entry, owner, ends);
      });
    } finally {
      for (const entry of claims.values()) this.#release(entry);
      done();
    }
  }

  /** The target has ended: what was published for it waits to be claimed by the next one. */
  targetEnded(): void {
    this.#ends += 1;
    this.#keeping = true;
    for (const entry of this.#ports.values()) if (entry.owner === "target") entry.orphan = true;
  }

  /** The next target is ready. Its orphans stay until `dropOrphans`. */
  targetReady(): void {
    log.debug(`${this.orphans} published ports wait to be claimed`);
  }

  /** Removes the ports that nobody has claimed; resolves to how many. */
  async dropOrphans(): Promise<number> {
    this.#keeping = false;
    const orphans = [...this.#ports.values()].filter(({ orphan, claimed }) => orphan && !claimed);
    const gone = await Promise.all(orphans.map(({ status }) => this.#drop(status.id)));
    return gone.filter(Boolean).length;
  }

  /** How many published ports wait to be claimed. */
  get orphans(): number {
    return [...this.#ports.values()].filter(({ orphan }) => orphan).length;
  }

  /** Whoever held this port has gone without a word. The port goes as well, after a moment: unless the target has ended, too. */
  async abandon(id: number): Promise<void> {
    const entry = this.#ports.get(id);
    if (entry === undefined) return;
    const { adoptions } = entry;
    await new Promise<void>((resolve) => setTimeout(resolve, GRACE).unref());
    if (this.#ports.get(id) !== entry || entry.orphan || entry.adoptions !== adoptions) return;
    await this.#drop(id);
  }

  /** Ends a port and its connections. Throws RlkitError("PORT"), and then the port is still there. */
  async remove(id: number): Promise<void> {
    const entry = this.#ports.get(id);
    if (entry === undefined) throw new RlkitError("PORT", `unknown id: ${id}`);
    const taken = listenName(entry.status.spec);
    if (entry.claimed) {
      await this.#places.get(taken);
      return this.remove(id);
    }
    this.#ports.delete(id);
    const done = this.#change([taken]);
    try {
      await this.#driver.close(entry.key);
    } catch (error) {
      this.#ports.set(id, entry);
      this.#places.set(taken, id);
      throw error;
    } finally {
      done();
    }
  }

  /** How many ports there are. */
  get size(): number {
    return this.#ports.size;
  }

  /** The ports, by id. */
  list(): PortStatus[] {
    return [...this.#ports.values()].map(({ status }) => status).sort((a, b) => a.id - b.id);
  }

  /** Counters by id; undefined where the driver has none. */
  counters(): Promise<ReadonlyMap<number, PortCounters>> | undefined {
    return this.#driver.counters()?.then((byKey) => {
      const byId = new Map<number, PortCounters>();
      for (const [id, { key }] of this.#ports) {
        const counters = byKey.get(key);
        if (counters !== undefined) byId.set(id, counters);
      }
      return byId;
    });
  }

  /** Ends all ports, those that are being added included; no more can be added. */
  async closeAll(): Promise<void> {
    this.#closed = true;
    while (this.#changes.size > 0) await Promise.all(this.#changes);
    const results = await Promise.allSettled([...this.#ports.keys()].map((id) => this.remove(id)));
    for (const result of results) if (result.status === "rejected") log.debug(`closing ports: ${result.reason}`);
  }

  /** Waits until nobody is changing these places, then takes them at once, orphans included; returns what ends the change. */
  async #reserve(places: readonly string[]): Promise<{ claims: ReadonlyMap<string, Entry>; done: () => void }> {
    for (;;) {
      if (this.#closed) throw new RlkitError("PORT", "no port can be added any more: the run ends");
      const taken = places.map((name) => this.#places.get(name)).filter((by) => by !== undefined);
      const ids = taken.filter((by) => typeof by === "number");
      const id = ids.find((each) => this.#ports.get(each)?.orphan !== true);
      if (id !== undefined) throw new RlkitError("PORT", `conflict with ID ${id}`);
      if (taken.length === ids.length) {
        const orphans = ids.map((each) => this.#ports.get(each) as Entry);
        for (const entry of orphans) entry.claimed = true;
        const claims = new Map(orphans.map((entry) => [listenName(entry.status.spec), entry]));
        return { claims, done: this.#change(places) };
      }
      await Promise.all(taken);
    }
  }

  /** Takes places for the time of a change; the function returned frees those that no port has by then. */
  #change(places: readonly string[]): () => void {
    let end = (): void => {};
    const change = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#changes.add(change);
    for (const name of places) this.#places.set(name, change);
    return () => {
      for (const name of places) if (this.#places.get(name) === change) this.#places.delete(name);
      this.#changes.delete(change);
      end();
    };
  }

  /** Has the driver open all at the same time; if one fails, those that did not are closed again. */
  async #openAll(specs: readonly PortSpec[]): Promise<{ key: number; spec: PortSpec }[]> {
    const opening = specs.map(async (spec) => {
      this.#lastKey += 1;
      const key = this.#lastKey;
      return { key, spec: await this.#driver.open(key, spec) };
    });
    const results = await Promise.allSettled(opening);
    const opened = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const failure = results.find((result) => result.status === "rejected");
    if (failure === undefined) return opened;
    for (const result of await Promise.allSettled(opened.map(({ key }) => this.#driver.close(key)))) {
      if (result.status === "rejected") log.warn(`a port of a set that failed is still open: ${result.reason}`);
    }
    throw failure.reason;
  }

  #enter({ key, spec }: { key: number; spec: PortSpec }): Entry {
    this.#lastId += 1;
    const status = { id: this.#lastId, spec };
    const entry: Entry = { key, status, owner: "user", orphan: false, claimed: true, adoptions: 0 };
    this.#ports.set(status.id, entry);
    const loss = losses(this.#driver.name, spec);
    if (loss !== undefined && !this.#warned.has(loss)) this.#warn(loss);
    if (loss !== undefined) this.#warned.add(loss);
    return entry;
  }

  /** Makes a port that is open its owner's. If that is a target which has ended since it asked, it is an orphan (again). */
  #give(entry: Entry, owner: PortOwner, ends: number): PortStatus {
    if (entry.orphan) entry.adoptions += 1;
    entry.owner = owner;
    entry.orphan = owner === "target" && ends !== this.#ends;
    this.#release(entry);
    return entry.status;
  }

  /** The end of a claim: the port has its place again, if it is still there. */
  #release(entry: Entry): void {
    if (!entry.claimed) return;
    entry.claimed = false;
    const { id, spec } = entry.status;
    if (this.#ports.get(id) !== entry) return;
    this.#places.set(listenName(spec), id);
    // Its time to be dropped has come and gone meanwhile.
    if (entry.orphan && !this.#keeping) void this.#drop(id);
  }

  /** Removes orphans whose places are ours. Those that the driver can't close stay. */
  async #replace(entries: readonly Entry[]): Promise<void> {
    const closing = entries.map(async (entry) => {
      await this.#driver.close(entry.key);
      this.#ports.delete(entry.status.id);
    });
    const failure = (await Promise.allSettled(closing)).find(({ status }) => status === "rejected");
    if (failure !== undefined) throw (failure as PromiseRejectedResult).reason;
  }

  /** Removes a port that nobody may be waiting for; whether that was done. */
  async #drop(id: number): Promise<boolean> {
    try {
      await this.remove(id);
      return true;
    } catch (error) {
      if (this.#ports.has(id)) log.warn(`port ${id} could not be removed: ${String(error)}`);
      return false;
    }
  }
}
