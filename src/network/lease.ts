import { RlkitError } from "../errors.ts";
import { bindInside } from "../launch/bind-inside.ts";
import type { Control } from "../launch/control.ts";
import { elapsed } from "../launch/wait.ts";
import { log } from "../log.ts";
import { configureLease, type Interface } from "./configure-lease.ts";
import { DatagramWire, type Wire } from "./datagram-wire.ts";
import type { Question, Terms } from "./dhcp.ts";
import { ask, EVERYBODY, newId, obtain } from "./dhcp-client.ts";

interface LeaseSetting extends Interface {
  control: Pick<Control, "run" | "spawn">;
  mac: Buffer;
  /** Throws when the launch is to end. */
  interrupted(): void;
  /** But in unit tests, a socket inside. */
  wire?: Wire;
}

const CLIENT_PORT = 68;
/** How long a server may take: the first one, with a check whether somebody has the address, 3 s or more. Milliseconds. */
const FIRST_WITHIN = 30_000;
/** From which part of the lease on the server is asked for more time, and from which on any server (RFC 2131, 4.4.5). */
const [RENEW, REBIND] = [0.5, 0.875];
/** The shortest pause between two requests for more time. Milliseconds; RFC 2131 says a minute, for networks of many. */
const BETWEEN_RENEWALS = 10_000;
/** The longest that a timer takes. */
const LONGEST_PAUSE = 2 ** 31 - 1;

/** The address of a network on somebody else's bridge: got from its DHCP server, and kept as long as the run lasts. */
export class Lease {
  readonly #setting: LeaseSetting;
  readonly #wire: Wire;
  readonly #stopping = new AbortController();
  #terms: Terms;
  #degraded: string | undefined;

  private constructor(setting: LeaseSetting, wire: Wire, terms: Terms) {
    this.#setting = setting;
    this.#wire = wire;
    this.#terms = terms;
  }

  /** Gets an address and gives it to the interface, which is up. Throws RlkitError("NETWORK") if no server answers. */
  static async acquire(setting: LeaseSetting): Promise<Lease> {
    const { control, ifname, interrupted } = setting;
    const wire =
      setting.wire ??
      new DatagramWire(
        await bindInside(
          control,
          { kind: "datagram", address: "0.0.0.0", port: CLIENT_PORT, ifname },
          "port 68 inside",
        ),
      );
    try {
      const terms = await obtain(wire, setting.mac, performance.now() + FIRST_WITHIN, interrupted);
      if (terms === undefined) {
        throw new RlkitError("NETWORK", `no DHCP server answered on ${ifname} within ${FIRST_WITHIN / 1000} s`, {
          hint: "is one running for the bridge? lxc: systemctl status lxc-net; another network: --net=auto",
        });
      }
      await configureLease(setting, terms);
      log.debug(`${ifname} has the address ${terms.address}/${terms.prefix} for ${terms.lease} s`);
      return new Lease(setting, wire, terms);
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  /** The name servers that belong to the address. */
  get nameServers(): readonly string[] {
    return this.#terms.nameServers;
  }

  /** What is wrong, while the lease has run out. */
  get degraded(): string | undefined {
    return this.#degraded;
  }

  /** From here on it is renewed in time. */
  keep(): void {
    this.#keep().catch((error: unknown) => {
      if (!this.#isOver) log.error(`a defect in rlkit's DHCP client: ${String(error)}`);
    });
  }

  /** Ends it. The server learns of it by the lease's end. */
  close(): void {
    this.#stopping.abort();
    this.#wire.close();
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #keep(): Promise<void> {
    for (;;) {
      const terms = await this.#renewed(performance.now());
      if (this.#isOver) return;
      await configureLease(this.#setting, terms, this.#terms);
      if (this.#degraded !== undefined) log.info(`${this.#setting.ifname} has an address again: ${terms.address}`);
      else if (terms.address !== this.#terms.address)
        log.warn(
          `the address inside is ${terms.address} now, as the DHCP server wants it; it was ${this.#terms.address}`,
        );
      this.#terms = terms;
      this.#degraded = undefined;
    }
  }

  /** Resolves to the next terms, when there are any. */
  async #renewed(began: number): Promise<Terms> {
    const { address, server, lease } = this.#terms;
    const end = (part: number): number => began + part * lease * 1000;
    await this.#pause(end(RENEW) - performance.now());
    const phases = [
      [server, end(REBIND)],
      [EVERYBODY, end(1)],
    ] as const;
    for (const [to, until] of phases) {
      while (!this.#isOver && performance.now() < until) {
        const left = until - performance.now();
        const within = Math.min(Math.max(left / 2, BETWEEN_RENEWALS), left, LONGEST_PAUSE);
        const question = { ...this.#question(), type: "request", renew: address } as const;
        const answer = await ask(this.#wire, question, to, within);
        if (answer?.type === "ack") return answer.terms;
        if (answer?.type === "nak") return await this.#anew("the DHCP server takes the address away");
      }
    }
    return await this.#anew("the DHCP server does not renew the address, and its time is over");
  }

  /** Asks for a new address until there is one. */
  async #anew(why: string): Promise<Terms> {
    this.#degraded = `${this.#setting.ifname}: ${why}`;
    if (!this.#isOver) log.error(`${this.#degraded}; asking for another`);
    while (!this.#isOver) {
      const terms = await obtain(this.#wire, this.#setting.mac, performance.now() + FIRST_WITHIN);
      if (terms !== undefined) return terms;
    }
    return this.#terms;
  }

  #question(): Pick<Question, "id" | "mac" | "seconds"> {
    return { id: newId(), mac: this.#setting.mac, seconds: 0 };
  }

  /** Resolves after so many milliseconds, or when the run ends. */
  #pause(milliseconds: number): Promise<void> {
    const time = Math.min(Math.max(milliseconds, 0), LONGEST_PAUSE); // a longer lease is asked about earlier
    return elapsed(time, this.#stopping.signal);
  }
}
