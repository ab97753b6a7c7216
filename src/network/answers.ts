import { setTimeout as pause } from "node:timers/promises";
import type { Control } from "../launch/control.ts";
import { encodeMessages, Flag, type NetlinkMessage } from "../native/netlink-messages.ts";
import type { Instruction } from "../plan/operations.ts";
import { parseAddress } from "../ports/address.ts";
import { interfaceIndex, netLines } from "./interface-index.ts";

const RTM_NEWNEIGH = 28;
const AF_INET = 2;
const NUD_PROBE = 0x10;
const NTF_USE = 1;
const NDA_DST = 1;

/** Where a helper can be asked for a sign of life. */
export interface Gateway {
  control: Pick<Control, "run">;
  /** A process inside, by its pid outside. */
  init: number;
  ifname: string;
  /** An IPv4 address for which the helper answers. */
  address: string;
  /** /proc, but in unit tests. */
  proc?: string;
}

/**
 * Asks whether the helper still serves its interface. What shows its answer is that the interface has received something: nobody
 * else can write to it.
 */
export class Answers {
  readonly #gateway: Required<Gateway>;

  constructor(gateway: Gateway) {
    this.#gateway = { proc: "/proc", ...gateway };
  }

  /** Whether anything comes from the helper within `milliseconds`. True where that can't be known. */
  async within(milliseconds: number): Promise<boolean> {
    const { proc, init, ifname } = this.#gateway;
    const index = interfaceIndex(init, ifname, proc);
    const before = this.#received();
    if (index === undefined || before === undefined) return true;
    try {
      await this.#gateway.control.run(solicit(index, this.#gateway.address));
    } catch {
      return true; // it is init that doesn't answer
    }
    const deadline = performance.now() + milliseconds;
    for (let delay = 2; ; delay = Math.min(2 * delay, 250)) {
      const late = performance.now() > deadline; // asked before the look: this process may have been kept from the processor
      if (this.#received() !== before) return true;
      if (late) return false;
      await pause(delay, undefined, { ref: false });
    }
  }

  /** How many packets the interface has received. */
  #received(): number | undefined {
    const { proc, init, ifname } = this.#gateway;
    const line = netLines(init, "dev", proc).find((each) => each.trim().startsWith(`${ifname}:`));
    const packets = line
      ?.slice(line.indexOf(":") + 1)
      .trim()
      .split(/\s+/)[1];
    return packets === undefined ? undefined : Number(packets);
  }
}

/**
 * Has the kernel ask who has the address, three times, a second apart. What it knows about a neighbour is used meanwhile, so this
 * is in nobody's way. A neighbour of which it knows nothing (any more) is asked for as if there were a packet for it.
 */
export function solicit(index: number, address: string): Instruction[] {
  const bytes = parseAddress(address)?.bytes ?? [];
  const flags = Flag.request | Flag.ack;
  const neighbour = (state: number, use: number, more: number): NetlinkMessage => {
    const body = Buffer.alloc(12); // struct ndmsg
    body.writeUInt8(AF_INET, 0);
    body.writeInt32LE(index, 4);
    body.writeUInt16LE(state, 8);
    body.writeUInt8(use, 10);
    return { type: RTM_NEWNEIGH, flags: flags | more, body, attributes: [[NDA_DST, Buffer.from(bytes)]] };
  };
  const messages = [neighbour(NUD_PROBE, 0, 0), neighbour(0, NTF_USE, Flag.create | Flag.replace)];
  return messages.map((message) => ({ op: ["netlink", 0, encodeMessages([message])], mayFail: true }));
}
