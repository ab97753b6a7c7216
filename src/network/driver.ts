import type { Instruction } from "../plan/operations.ts";

/** The networks that a user can ask for; `auto` picks one of the helpers. */
export const networkNames = ["auto", "slirp4netns", "pasta", "none", "host"] as const;
export type NetworkName = (typeof networkNames)[number];

/** RootlessKit's other networks. A configuration that names one goes on to work, with what `auto` picks in its place. */
export const replacedNetworks = ["gvisor-tap-vsock", "vpnkit", "lxc-user-nic"] as const;

/** What the user said about the network, checked and complete. */
export interface NetworkOptions {
  /** Bytes; undefined for the driver's own default. */
  mtu: number | undefined;
  cidr: Cidr;
  ifname: string;
  disableHostLoopback: boolean;
  ipv6: boolean;
  /** The one of `replacedNetworks` that was asked for. */
  insteadOf?: string;
  /** Where the helpers are, by their names: a path, or a name on PATH. Those that are not in it go by their own. */
  programs?: Readonly<Record<string, string>>;
}

/** An IPv4 network: its address as a number, its prefix length, and whether the user chose it. */
export interface Cidr {
  base: number;
  prefix: number;
  custom: boolean;
  /** The usual network, to which this host has a route of its own. */
  insteadOf?: string;
}

/** The addresses inside the network namespace: x.2, x.3 and x.100 of the network, as RootlessKit's users know them. */
export interface Addresses {
  child: string;
  gateway: string;
  dns: string;
  dns6: string | undefined;
  prefix: number;
}

/** A helper program as it was found on this host: where, and which of the options that rlkit can use it knows. */
export interface Helper {
  path: string;
  features: ReadonlySet<string>;
}

/** A network that a helper process provides from outside: everything in which slirp4netns and pasta differ. */
export interface HelperDriver {
  name: "slirp4netns" | "pasta";
  defaultMtu: number;
  /** The options that are looked for in the helper's own --help. */
  probes: readonly string[];
  /** Options without which it can't be used, with the sentence that says why not. */
  required: readonly string[];
  /** How the helper says that it is ready: it writes to fd 3, or it writes its pid to a file. */
  ready: "fd" | "pid-file";
  /** argv after the program's path. `{child}` stands for init's pid, `{pid-file}` for the file. */
  args(options: NetworkOptions, helper: Helper, forwarding: Forwarding): string[];
  /** What init does before the helper starts, with reasons. */
  before(options: NetworkOptions): ReasonedInstruction[];
  /** What init does once the helper is ready. */
  after(options: NetworkOptions): ReasonedInstruction[];
}

/**
 * What the helper does about published ports: nothing, what it is told on a socket, or (pasta) whatever listens inside.
 */
export type Forwarding = { kind: "none" } | { kind: "socket"; path: string } | { kind: "all" };

/** An instruction for init with the sentence that `rlkit plan` prints. */
export type ReasonedInstruction = Instruction & { why: string };

/** Dotted form of an IPv4 address given as a number. */
export function ipv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** The addresses that a network's options imply. */
export function addresses(options: NetworkOptions): Addresses {
  const { base, prefix } = options.cidr;
  return {
    gateway: ipv4(base + 2),
    dns: ipv4(base + 3),
    child: ipv4(base + 100),
    dns6: options.ipv6 ? "fd00::3" : undefined,
    prefix,
  };
}
