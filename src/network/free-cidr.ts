import { type Cidr, ipv4 } from "./driver.ts";

/** An IPv4 network: its address as a number, and its prefix length. */
export type Ipv4Network = Pick<Cidr, "base" | "prefix">;

/** The networks to which a host has routes, from the text of /proc/net/route (proc_pid_net(5)); the default route is none. */
export function routedNetworks(text: string): Ipv4Network[] {
  const rows = text.split("\n").map((line) => line.split("\t"));
  return rows.flatMap(([, destination = "", , , , , , mask = ""]) => {
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return []; // the heading, the end
    const prefix = swapped(mask).toString(2).replaceAll("0", "").length;
    return prefix === 0 ? [] : [{ base: swapped(destination), prefix }];
  });
}

/** A number that the kernel prints as it lies in memory, in network order. */
const swapped = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE(0);

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
