import type { Socket } from "node:net";

/**
 * Ports that belong to a connection: docker-proxy's, which dockerd may kill. What a connection has not given back by its end is
 * removed.
 */
export class Leases {
  readonly #owners = new Map<number, Socket>();
  readonly #watched = new WeakSet<Socket>();
  readonly #remove: (id: number) => void;

  constructor(remove: (id: number) => void) {
    this.#remove = remove;
  }

  /** Ties a port to a connection. If that has ended meanwhile, the port goes at once. */
  add(id: number, owner: Socket): void {
    if (owner.destroyed) {
      this.#remove(id);
      return;
    }
    this.#owners.set(id, owner);
    if (this.#watched.has(owner)) return;
    this.#watched.add(owner);
    owner.once("close", () => {
      for (const [lease, socket] of this.#owners) {
        if (socket !== owner) continue;
        this.#owners.delete(lease);
        this.#remove(lease);
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
