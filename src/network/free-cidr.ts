import { type Cidr, ipv4 } from "./driver.ts";
import type { Ipv4Network } from "./routes.ts";

const overlap = (a: Ipv4Network, b: Ipv4Network): boolean => {
  const size = 2 ** (32 - Math.min(a.prefix, b.prefix));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
};

/** 10.0.2.0/24, and what stands in for it: seldom anybody's. */
const others = [102, 142, 182, 222].map((third) => ({
  base: ((10 << 24) | (200 << 16) | (third << 8)) >>> 0,
  prefix: 24,
}));

/**
 * The network, or another one where the host has a route into it (a virtual machine's own network is often 10.0.2.0/24): its hosts
 * could not be reached from inside. One that the user chose stays.
 */
export function freeCidr(cidr: Cidr, routed: readonly Ipv4Network[]): Cidr {
  const isFree = (network: Ipv4Network): boolean => !routed.some((route) => overlap(network, route));
  if (cidr.custom || isFree(cidr)) return cidr;
  const other = others.find(isFree);
  return other === undefined ? cidr : { ...other, custom: true, insteadOf: `${ipv4(cidr.base)}/${cidr.prefix}` };
}
