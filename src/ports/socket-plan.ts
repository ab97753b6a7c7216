import { RlkitError } from "../errors.ts";
import { type Address, dotted, isLoopback, isWildcard, parseAddress } from "./address.ts";
import type { PortSpec } from "./driver.ts";
import { listenName } from "./spec.ts";

/** A socket to bind; `address` is "" for all of the family's. */
export interface SocketPlan {
  family: 4 | 6;
  /** False takes IPv4 clients along, on an IPv6 socket for all addresses. */
  v6only: boolean;
  address: string;
}

/** Stream or datagram; undefined for SCTP. */
export function socketKind({ proto }: PortSpec): "stream" | "datagram" | undefined {
  if (proto.startsWith("tcp")) return "stream";
  return proto.startsWith("udp") ? "datagram" : undefined;
}

const parentAddress = ({ parentIP = "" }: PortSpec): Address | undefined => parseAddress(parentIP);

/** Whether only this host's own programs can reach the port. */
export function isPrivate(spec: PortSpec): boolean {
  const address = parentAddress(spec);
  return address !== undefined && isLoopback(address);
}

/**
 * The socket that a spec means, and what to do without IPv6: plans to be tried in this order. `tcp` and `udp` on all addresses
 * are one socket for both IP versions; with a digit they are strictly one. Throws RlkitError("PORT") where the digit and the
 * address contradict each other.
 */
export function socketPlans(spec: PortSpec): SocketPlan[] {
  const { proto, parentIP = "" } = spec;
  const address = parentAddress(spec);
  const digit = proto.endsWith("4") ? 4 : proto.endsWith("6") ? 6 : undefined;
  if (address !== undefined && digit !== undefined && address.family !== digit) {
    throw new RlkitError("PORT", `listen ${listenName(spec)}: ${proto} is IPv${digit}, and ${parentIP} is not`, {
      hint: `use ${proto.slice(0, -1)}${address.family}, or an IPv${digit} address`,
    });
  }
  const all = address === undefined || isWildcard(address);
  const family = digit ?? address?.family;
  const four: SocketPlan = { family: 4, v6only: false, address: all ? "" : (address && dotted(address)) || "" };
  if (all && digit === undefined) {
    const both: SocketPlan = { family: 6, v6only: false, address: "" };
    return address?.family === 6 ? [both] : [both, four];
  }
  return family === 4 ? [four] : [{ family: 6, v6only: true, address: all ? "" : parentIP }];
}

/**
 * Where the builtin driver connects inside: to childIP; or else to loopback, by the same loopback address as on the host, so that
 * 127.0.0.2:80 and 127.0.0.3:80 are two services. An address of the host itself exists inside only by accident.
 */
export function targetAddress(spec: PortSpec): string {
  const child = parseAddress(spec.childIP ?? "");
  if (child !== undefined) return dotted(child) ?? spec.childIP ?? "";
  const parent = parentAddress(spec);
  return parent !== undefined && isLoopback(parent) ? (dotted(parent) ?? "::1") : "127.0.0.1";
}
