import type { Instruction } from "../plan/operations.ts";

/** The networks that a user can ask for; `auto` picks slirp4netns or pasta. */
export const networkNames = [
  "auto",
  "slirp4netns",
  "pasta",
  "vpnkit",
  "gvisor-tap-vsock",
  "lxc-user-nic",
  "none",
  "host",
] as const;
export type NetworkName = (typeof networkNames)[number];

/** The networks that a helper process provides. */
export type HelperName = Exclude<NetworkName, "auto" | "lxc-user-nic" | "none" | "host">;

/** What the user said about the network, checked and complete. */
export interface NetworkOptions {
  /** Bytes; undefined for the driver's own default. */
  mtu: number | undefined;
  cidr: Cidr;
  ifname: string;
  disableHostLoopback: boolean;
  ipv6: boolean;
  /** The host's bridge, for lxc-user-nic. */
  bridge: string;
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

/** The addresses inside the network namespace. */
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
  name: HelperName;
  /** What it is called on PATH, and directories outside PATH where it may be. */
  program: string;
  directories?: readonly string[];
  defaultMtu: number;
  /** The options that are looked for in the helper's own --help. */
  probes: readonly string[];
  /** Options without which it can't be used, with the sentence that says why not. */
  required: readonly string[];
  /** What tells that the helper carries packets. */
  ready(options: NetworkOptions, forwarding: Forwarding): Readiness;
  /** It has no tap device of its own: rlkit carries frames between one and this socket in the state directory, at which it listens. */
  ethernet?: string;
  /** A file in the state directory that it reads. */
  file?(options: NetworkOptions): { name: string; content: string };
  addresses(options: NetworkOptions): Addresses;
  /** argv after the program's path. `{child}` stands for init's pid, `{pid-file}` for the file, `{state-dir}` for the directory. */
  args(options: NetworkOptions, helper: Helper, forwarding: Forwarding): string[];
  /** What init does before the helper starts, with reasons. */
  before(options: NetworkOptions): ReasonedInstruction[];
  /** What init does once the helper is ready. */
  after(options: NetworkOptions): ReasonedInstruction[];
}

/** It writes to fd 3, it writes its pid to the file `{pid-file}`, or it has set the default route inside. */
export type Readiness = "fd" | "pid-file" | "route";

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

/** x.2, x.3 and x.100 of the network, as slirp4netns has them and RootlessKit's users know them. */
export function usualAddresses(options: NetworkOptions): Addresses {
  const { base, prefix } = options.cidr;
  return {
    gateway: ipv4(base + 2),
    dns: ipv4(base + 3),
    child: ipv4(base + 100),
    dns6: options.ipv6 ? "fd00::3" : undefined,
    prefix,
  };
}
