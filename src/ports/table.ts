import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { losses } from "./capabilities.ts";
import type { PortCounters, PortDriver, PortSpec, PortStatus } from "./driver.ts";
import { listenName, type UncheckedSpec, validatePortSpec } from "./spec.ts";

interface Entry {
  /** The driver's number for it. Ids are given to ports that are published; drivers need a number before. */
  key: number;
  status: PortStatus;
}

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

  constructor(driver: PortDriver, warn: (text: string) => void = (text) => log.warn(text)) {
    this.#driver = driver;
    this.#warn = warn;
  }

  /** Publishes a port. Throws RlkitError("PORT"); a failure takes no id. */
  async add(spec: UncheckedSpec): Promise<PortStatus> {
    const [status] = await this.addAll([spec]);
    return status as PortStatus;
  }

  /** Publishes all of the ports, with ids in their order, or none of them. */
  async addAll(unchecked: readonly UncheckedSpec[]): Promise<PortStatus[]> {
    const specs = unchecked.map(validatePortSpec);
    const places = specs.filter(({ parentPort }) => parentPort !== 0).map(listenName);
    const twice = places.find((name, index) => places.indexOf(name) !== index);
    if (twice !== undefined) throw new RlkitError("PORT", `conflict: ${twice} is there twice`);
    const done = await this.#reserve(places);
    try {
      return (await this.#openAll(specs)).map((entry) => this.#enter(entry.key, entry.spec));
    } finally {
      done();
    }
  }

  /** Ends a port and its connections. Throws RlkitError("PORT"), and then the port is still there. */
  async remove(id: number): Promise<void> {
    const entry = this.#ports.get(id);
    if (entry === undefined) throw new RlkitError("PORT", `unknown id: ${id}`);
    this.#ports.delete(id);
    const taken = listenName(entry.status.spec);
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

  /** Waits until nobody is changing these places, then takes them at once; returns what ends the change. */
  async #reserve(places: readonly string[]): Promise<() => void> {
    for (;;) {
      if (this.#closed) throw new RlkitError("PORT", "no port can be added any more: the run ends");
      const taken = places.map((name) => this.#places.get(name)).filter((by) => by !== undefined);
      const id = taken.find((by) => typeof by === "number");
      if (id !== undefined) throw new RlkitError("PORT", `conflict with ID ${id}`);
      if (taken.length === 0) return this.#change(places);
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

  #enter(key: number, spec: PortSpec): PortStatus {
    this.#lastId += 1;
    const status = { id: this.#lastId, spec };
    this.#ports.set(status.id, { key, status });
    this.#places.set(listenName(spec), status.id);
    const loss = losses(this.#driver.name, spec);
    if (loss !== undefined && !this.#warned.has(loss)) this.#warn(loss);
    if (loss !== undefined) this.#warned.add(loss);
    return status;
  }
}
