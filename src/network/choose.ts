import { RlkitError } from "../errors.ts";
import type { Helper, HelperDriver, NetworkName } from "./driver.ts";
import type { Ipv4Network } from "./free-cidr.ts";
import { pasta } from "./pasta.ts";
import { slirp4netns } from "./slirp4netns.ts";

/** What this host offers for networks. A helper is undefined when it isn't on PATH. */
export interface NetworkFacts {
  slirp4netns: Helper | undefined;
  pasta: Helper | undefined;
  /** pesto, which tells a running pasta about ports; undefined when it isn't on PATH or doesn't matter. */
  pesto?: string | undefined;
  /** Why /dev/net/tun can't be opened for reading and writing; undefined when it can. */
  tunProblem: string | undefined;
  /** Whether the host has a default route: pasta copies its interface's settings from there. */
  defaultRoute: boolean;
  /** The IPv4 networks to which the host has routes. */
  routed?: readonly Ipv4Network[];
  /** Why pasta, which looked usable, was not when it was started. */
  pastaFailure?: string;
}

/** The network of one run: none of a helper's (`none`, `host`), or a helper with its driver. */
export type Network =
  | { kind: "host" | "none"; why: string }
  | { kind: "helper"; driver: HelperDriver; helper: Helper; why: string };

const TUN_HINT =
  "as root: mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200; chmod 0666 /dev/net/tun";
const INSTALL_HINT =
  "sudo apt-get install passt slirp4netns   (Fedora: sudo dnf install passt slirp4netns), or use --net=none";

/** Why a helper can't be used here; undefined when it can. */
function obstacle(driver: HelperDriver, facts: NetworkFacts): string | undefined {
  const helper = facts[driver.name];
  if (helper === undefined) return `${driver.name} is not on PATH`;
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

/**
 * Picks the network. `auto` takes the fastest helper that works here (pasta, then slirp4netns) and says why; none at all is an
 * error that names each obstacle.
 */
export function chooseNetwork(name: NetworkName, facts: NetworkFacts): Network {
  switch (name) {
    case "host":
      return { kind: "host", why: "asked for: no network namespace" };
    case "none":
      return { kind: "none", why: "asked for: a network namespace with nothing but lo" };
    case "slirp4netns":
      return helperNetwork(slirp4netns, facts, "asked for");
    case "pasta":
      return helperNetwork(pasta, facts, "asked for");
    case "auto": {
      const noPasta = obstacle(pasta, facts);
      if (noPasta === undefined) return helperNetwork(pasta, facts, "the fastest helper, and it works here");
      const noSlirp = obstacle(slirp4netns, facts);
      if (noSlirp === undefined) return helperNetwork(slirp4netns, facts, `not pasta, because ${noPasta}`);
      if (facts.tunProblem !== undefined) return helperNetwork(slirp4netns, facts, "");
      throw new RlkitError("NETWORK", `cannot make a network: ${noPasta}; ${noSlirp}`, { hint: INSTALL_HINT });
    }
  }
}
