import { RlkitError } from "../errors.ts";
import {
  type Addresses,
  type Helper,
  type HelperDriver,
  type HelperName,
  type NetworkName,
  type NetworkOptions,
  usualAddresses,
} from "./driver.ts";
import { gvproxy } from "./gvproxy.ts";
import { pasta } from "./pasta.ts";
import type { Ipv4Network } from "./routes.ts";
import { slirp4netns } from "./slirp4netns.ts";
import { vpnkit } from "./vpnkit.ts";

/** The helpers' drivers. */
export const helperDrivers: Readonly<Record<HelperName, HelperDriver>> = {
  slirp4netns,
  pasta,
  vpnkit,
  "gvisor-tap-vsock": gvproxy,
};

/** What this host offers for networks. A helper is undefined when it isn't on PATH, or doesn't matter. */
export interface NetworkFacts extends Partial<Record<HelperName, Helper | undefined>> {
  /** pesto, which tells a running pasta about ports; undefined when it isn't on PATH or doesn't matter. */
  pesto?: string | undefined;
  /** lxc-user-nic, where it was looked for, and whether the host has the bridge. */
  lxcUserNic?: { path: string | undefined; hasBridge: boolean };
  /** Why /dev/net/tun can't be opened for reading and writing; undefined when it can. */
  tunProblem: string | undefined;
  /** Whether the host has a default route: pasta copies its interface's settings from there. */
  defaultRoute: boolean;
  /** The IPv4 networks to which the host has routes. */
  routed?: readonly Ipv4Network[];
  /** Why pasta, which looked usable, was not when it was started. */
  pastaFailure?: string;
}

/**
 * The network of one run: none of a helper's (`none`, `host`), a helper with its driver, or an interface on a bridge of the host's, which
 * gets its address from there (`path` is lxc-user-nic).
 */
export type Network =
  | { kind: "host" | "none"; why: string }
  | { kind: "bridge"; path: string; why: string }
  | { kind: "helper"; driver: HelperDriver; helper: Helper; why: string; insteadOf?: InsteadOf };

/** A network that was asked for and can't be had here, and why not. */
interface InsteadOf {
  name: NetworkName;
  problem: string;
}

const TUN_HINT =
  "as root: mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200; chmod 0666 /dev/net/tun";
const INSTALL_HINT =
  "sudo apt-get install passt slirp4netns   (Fedora: sudo dnf install passt slirp4netns), or use --net=none";

/** The network's name, as users and RootlessKit's clients know it. */
export const networkName = (network: Network): Exclude<NetworkName, "auto"> => {
  switch (network.kind) {
    case "helper":
      return network.driver.name;
    case "bridge":
      return "lxc-user-nic";
    default:
      return network.kind;
  }
};

/** The MTU of its interface in bytes; undefined where that is for the kernel to say, as for dockerd. */
export const defaultMtu = (network: Network): number | undefined =>
  network.kind === "helper" ? network.driver.defaultMtu : undefined;

/** Whether it has an interface that leads out. */
export const leadsOut = ({ kind }: Network): boolean => kind === "helper" || kind === "bridge";

/** The addresses inside; undefined where there are none, or others decide about them. */
export const networkAddresses = (network: Network, options: NetworkOptions): Addresses | undefined =>
  network.kind === "helper" ? network.driver.addresses(options) : undefined;

/** The network's own IPv4 address inside; where it has none, one that stands for it. */
export const ownAddress = (network: Network, options: NetworkOptions): string =>
  (networkAddresses(network, options) ?? usualAddresses(options)).child;

/** Why a helper can't be used here; undefined when it can. */
function obstacle(driver: HelperDriver, facts: NetworkFacts): string | undefined {
  const helper = facts[driver.name];
  if (helper === undefined) return `${driver.program} is not on PATH`;
  const missing = driver.required.filter((option) => !helper.features.has(option));
  if (missing.length > 0) return `${helper.path} is too old: it has no ${missing.join(", ")}`;
  if (facts.tunProblem !== undefined) return facts.tunProblem;
  if (driver.name === "pasta" && facts.pastaFailure !== undefined) return facts.pastaFailure;
  if (driver.name === "pasta" && !facts.defaultRoute)
    return "the host has no default route, which pasta copies its settings from";
  return undefined;
}

function helperNetwork(driver: HelperDriver, facts: NetworkFacts, why: string): Network {
  const problem = obstacle(driver, facts);
  const helper = facts[driver.name];
  if (problem === undefined && helper !== undefined) return { kind: "helper", driver, helper, why };
  if (problem === facts.tunProblem) {
    throw new RlkitError("TUN", `cannot use --net=${driver.name}: ${problem}`, { hint: TUN_HINT });
  }
  const hint = helper === undefined ? INSTALL_HINT : "use --net=auto to take what works here";
  throw new RlkitError("NETWORK", `cannot use --net=${driver.name}: ${problem}`, { hint });
}

/** The fastest helper that works here: pasta, then slirp4netns. None at all is an error that names each obstacle. */
function anyNetwork(facts: NetworkFacts): Network {
  const noPasta = obstacle(pasta, facts);
  if (noPasta === undefined) return helperNetwork(pasta, facts, "the fastest helper, and it works here");
  const noSlirp = obstacle(slirp4netns, facts);
  if (noSlirp === undefined) return helperNetwork(slirp4netns, facts, `not pasta, because ${noPasta}`);
  if (facts.tunProblem !== undefined) return helperNetwork(slirp4netns, facts, "");
  throw new RlkitError("NETWORK", `cannot make a network: ${noPasta}; ${noSlirp}`, { hint: INSTALL_HINT });
}

/** A configuration that named one of RootlessKit's rarer networks goes on to work where that network does not. */
function another(name: NetworkName, problem: string, facts: NetworkFacts): Network {
  const network = anyNetwork(facts);
  return network.kind === "helper" ? { ...network, insteadOf: { name, problem } } : network;
}

function bridged({ lxcUserNic }: NetworkFacts): { path: string } | { problem: string } {
  if (lxcUserNic?.path === undefined) return { problem: "lxc-user-nic is not there" };
  return lxcUserNic.hasBridge ? { path: lxcUserNic.path } : { problem: "this host has no such bridge" };
}

/** Picks the network, and says why. Throws what makes it impossible. */
export function chooseNetwork(name: NetworkName, facts: NetworkFacts): Network {
  switch (name) {
    case "host":
      return { kind: "host", why: "asked for: no network namespace" };
    case "none":
      return { kind: "none", why: "asked for: a network namespace with nothing but lo" };
    case "slirp4netns":
    case "pasta":
      return helperNetwork(helperDrivers[name], facts, "asked for");
    case "vpnkit":
    case "gvisor-tap-vsock": {
      const problem = obstacle(helperDrivers[name], facts);
      return problem === undefined
        ? helperNetwork(helperDrivers[name], facts, "asked for")
        : another(name, problem, facts);
    }
    case "lxc-user-nic": {
      const found = bridged(facts);
      return "path" in found
        ? { kind: "bridge", path: found.path, why: "asked for" }
        : another(name, found.problem, facts);
    }
    case "auto":
      return anyNetwork(facts);
  }
}
