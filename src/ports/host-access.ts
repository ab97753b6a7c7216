import { closeSync } from "node:fs";
import { isErrno, RlkitError } from "../errors.ts";
import { bindInside } from "../launch/bind-inside.ts";
import { Child } from "../launch/children.ts";
import type { Control } from "../launch/control.ts";
import { formatHostPort, type HostPort } from "../options/host-access.ts";
import { Portd } from "./portd.ts";
import type { ListenRequest } from "./portd-encoding.ts";

/** A host's program may be just starting, as one inside may. Milliseconds. */
const CONNECT_PATIENCE = 300;
const GONE_WITHIN = 1000; // milliseconds

/** Processes of the host's namespaces, as Control starts those inside. */
class Outside implements Pick<Control, "spawn" | "onEnd" | "signal"> {
  readonly #children = new Map<number, Child>();

  async spawn({ argv, fds = [] }: Parameters<Control["spawn"]>[0]): Promise<number> {
    // No death signal: portd ends with its socket, and that with this process.
    const child = Child.start({ path: argv[0] ?? "", argv, env: [], fds, deathSignal: 0, newSession: true });
    this.#children.set(child.pid, child);
    return child.pid;
  }

  onEnd(pid: number, listener: (status: number) => void): void {
    this.#children.get(pid)?.onEnd(listener);
  }

  async signal(pid: number, signo: number): Promise<void> {
    this.#children.get(pid)?.kill(signo);
  }

  /** Waits for the end of all, which is under way. */
  async gone(): Promise<void> {
    for (const child of this.#children.values()) await child.wait(GONE_WITHIN);
  }
}

/**
 * Ports of the host's loopback address, open inside at the same numbers. It is the way of published ports turned round: the sockets
 * are made inside, and a portd on the host accepts on them and connects to 127.0.0.1. Nothing else of the host is reached by it.
 */
export class HostAccessPorts {
  readonly portd: Portd;
  readonly #control: Pick<Control, "spawn">;
  readonly #outside = new Outside();
  readonly #open: { request: ListenRequest; fd: number }[] = [];

  constructor(control: Pick<Control, "spawn">, interrupted: () => void) {
    this.#control = control;
    this.portd = new Portd(this.#outside, interrupted, "to the host");
    this.portd.replay = async (plane) => {
      await Promise.all(this.#open.map(({ request, fd }) => plane.listen(request, fd)));
    };
  }

  /** Opens ports inside. Throws RlkitError("PORT") that says which can't be opened, and why. */
  async open(ports: readonly HostPort[]): Promise<void> {
    for (const [i, port] of ports.entries()) {
      const fd = await this.#bind(port);
      const request: ListenRequest = {
        port: i + 1,
        kind: port.proto === "tcp" ? "stream" : "datagram",
        keepClient: false,
        patience: CONNECT_PATIENCE,
        target: "127.0.0.1",
        targetPort: port.port,
        standIn: "",
      };
      this.#open.push({ request, fd });
      await this.portd.listen(request, fd);
    }
  }

  /** Ends it, and the connections that go through it. */
  async close(): Promise<void> {
    await this.portd.stop();
    await this.#outside.gone();
    for (const { fd } of this.#open.splice(0)) closeSync(fd);
  }

  async #bind(port: HostPort): Promise<number> {
    try {
      return await this.#bindTo("::", port);
    } catch (error) {
      if (isErrno(error, "EAFNOSUPPORT")) return await this.#bindTo("0.0.0.0", port); // a kernel without IPv6
      if (!isErrno(error, "EADDRINUSE")) throw error;
      throw new RlkitError("PORT", `--host-access=${formatHostPort(port)}: the port is taken inside`, { cause: error });
    }
  }

  #bindTo(address: string, { proto, port }: HostPort): Promise<number> {
    const kind = proto === "tcp" ? "stream" : "datagram";
    return bindInside(this.#control, { kind, address, port }, `port ${port} inside`);
  }
}
