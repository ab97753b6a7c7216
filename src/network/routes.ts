import type { Cidr } from "./driver.ts";

/** An IPv4 network: its address as a number, and its prefix length. */
export type Ipv4Network = Pick<Cidr, "base" | "prefix">;

/** The networks to which there are routes, from the text of /proc/PID/net/route (proc_pid_net(5)); the default route is none. */
export function routedNetworks(text: string): Ipv4Network[] {
  return networks(text).filter(({ prefix }) => prefix > 0);
}

/** Whether there is a route to everywhere, in the same text. */
export function hasDefaultRoute(text: string): boolean {
  return networks(text).some(({ base, prefix }) => base === 0 && prefix === 0);
}

function networks(text: string): Ipv4Network[] {
  const rows = text.split("\n").map((line) => line.split("\t"));
  return rows.flatMap(([, destination = "", , , , , , mask = ""]) => {
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return []; // the heading, the end
    return [{ base: swapped(destination), prefix: swapped(mask).toString(2).replaceAll("0", "").length }];
  });
}

/** A number that the kernel prints as it lies in memory, in network order. */
const swapped = (hex: string): number => Buffer.from(hex, "hex").readUInt32LE(0);
