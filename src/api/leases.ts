import type { Socket } from "node:net";

/**
 * Ports that belong to a connection: docker-proxy's, which dockerd may kill. What a connection has not given back by its end is
 * given up.
 */
export class Leases {
  readonly #owners = new Map<number, Socket>();
  readonly #watched = new WeakSet<Socket>();
  readonly #abandon: (id: number) => void;

  constructor(abandon: (id: number) => void) {
    this.#abandon = abandon;
  }

  /** Ties a port to a connection. If that has ended meanwhile, the port is given up at once. */
  add(id: number, owner: Socket): void {
    if (owner.destroyed) {
      this.#owners.delete(id);
      this.#abandon(id);
      return;
    }
    this.#owners.set(id, owner);
    if (this.#watched.has(owner)) return;
    this.#watched.add(owner);
    owner.once("close", () => {
      for (const [lease, socket] of this.#owners) {
        if (socket !== owner) continue;
        this.#owners.delete(lease);
        this.#abandon(lease);
      }
    });
  }

  /** The port has been removed in the ordinary way. */
  end(id: number): void {
    this.#owners.delete(id);
  }

  /** The run ends, and all ports with it. */
  forgetAll(): void {
    this.#owners.clear();
  }
}
