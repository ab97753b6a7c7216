import { RlkitError } from "../errors.ts";
import type { Control } from "../launch/control.ts";
import { errnoName } from "../native/errno.ts";
import { encodeMessages, Flag, type NetlinkMessage, u32 } from "../native/netlink-messages.ts";
import type { Instruction } from "../plan/operations.ts";
import { printOperation } from "../plan/print.ts";
import type { Terms } from "./dhcp.ts";
import { interfaceIndex } from "./interface-index.ts";

/** An interface that gets its address by DHCP. */
export interface Interface {
  control: Pick<Control, "run">;
  /** A process in the network namespace, by its pid outside. */
  pid: number;
  ifname: string;
  /** Is told what the server gives, the first time and at each renewal. */
  learned(terms: Terms): void;
}

const RTM_NEWROUTE = 24;
const RTM_DELADDR = 21;

/** The default route by `router`, in place of another. */
function defaultRoute(router: string): NetlinkMessage {
  const body = Buffer.from([2, 0, 0, 0, 254, 16, 0, 1, 0, 0, 0, 0]); // struct rtmsg: IPv4, the main table, by DHCP, unicast
  const attributes = [[5, Buffer.from(router.split(".").map(Number))]] as const; // RTA_GATEWAY
  return { type: RTM_NEWROUTE, flags: Flag.request | Flag.ack | Flag.create | Flag.replace, body, attributes };
}

function removeAddress(index: number, { address, prefix }: Terms): NetlinkMessage {
  const body = Buffer.concat([Buffer.from([2, prefix, 0, 0]), u32(index)]); // struct ifaddrmsg
  const attributes = [[2, Buffer.from(address.split(".").map(Number))]] as const; // IFA_LOCAL
  return { type: RTM_DELADDR, flags: Flag.request | Flag.ack, body, attributes };
}

/**
 * Gives the interface what the server has given, in place of what it had before. Throws RlkitError("NETWORK") if that is of no use, or the
 * kernel refuses it.
 */
export async function configureLease(
  { control, pid, ifname, learned }: Interface,
  terms: Terms,
  before?: Terms,
): Promise<void> {
  const { address, prefix, router, nameServers } = terms;
  const missing = router === undefined ? "router" : nameServers.length === 0 ? "name server" : undefined;
  if (missing !== undefined && before === undefined) {
    throw new RlkitError("NETWORK", `the DHCP server at ${terms.server} names no ${missing}`, {
      hint: "a bridge without a way out is of no use here; another network: --net=auto",
    });
  }
  const index = before !== undefined && before.address !== address ? interfaceIndex(pid, ifname) : undefined;
  const instructions: Instruction[] = [
    { op: ["addr_add", ifname, address, prefix] },
    ...(before === undefined || index === undefined
      ? []
      : [{ op: ["netlink", 0, encodeMessages([removeAddress(index, before)])] as const, mayFail: true }]),
    ...(router === undefined ? [] : [{ op: ["netlink", 0, encodeMessages([defaultRoute(router)])] as const }]),
  ];
  const results = await control.run(instructions);
  const failed = results.findIndex((result, i) => result < 0 && !instructions[i]?.mayFail);
  const { op } = instructions[failed] ?? {};
  if (op !== undefined) {
    const why = errnoName(-(results[failed] ?? 0));
    throw new RlkitError("NETWORK", `cannot ${printOperation(op)} (what DHCP gave): ${why}`);
  }
  learned(terms);
}
