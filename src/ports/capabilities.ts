import { RlkitError } from "../errors.ts";
import { type Network, networkName } from "../network/choose.ts";
import type { HelperName, NetworkName } from "../network/driver.ts";
import { parseAddress } from "./address.ts";
import type { PortDriverName, PortSpec, Proto } from "./driver.ts";
import { isPrivate, socketKind, targetAddress } from "./socket-plan.ts";

/** What a port driver can do. */
export interface Capabilities {
  /** As RootlessKit's API lists them, which dockerd goes by; those in `withIpv6` only with --ipv6. */
  protos: readonly Proto[];
  withIpv6: readonly Proto[];
  /** Whose own addresses programs inside see, of clients on other hosts. */
  keepsClientAddress: readonly ("tcp" | "udp")[];
  /** Clients must name the network's own address as childIP: programs that listen on 127.0.0.1 inside are not reached. */
  disallowLoopbackChildIP: boolean;
  networks: readonly Exclude<NetworkName, "auto">[];
  /** Ports can be added and removed while the target runs. */
  whileRunning: boolean;
  /** What it is for, in a sentence. */
  purpose: string;
}

const IPV4: readonly Proto[] = ["tcp", "tcp4", "udp", "udp4"];
const NOTHING = {
  protos: [],
  withIpv6: [],
  keepsClientAddress: [],
  disallowLoopbackChildIP: false,
  whileRunning: false,
};

const helpers: readonly HelperName[] = ["slirp4netns", "pasta", "vpnkit", "gvisor-tap-vsock"];

/** The drivers. That slirp4netns and pasta keep addresses was measured, with TCP and UDP: slirp4netns 1.2, pasta 2023 and 2026. */
export const capabilities: Readonly<Record<PortDriverName, Capabilities>> = {
  builtin: {
    protos: ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"],
    withIpv6: [],
    keepsClientAddress: ["tcp"],
    disallowLoopbackChildIP: false,
    networks: [...helpers, "lxc-user-nic", "none"],
    whileRunning: true,
    purpose: "the fastest, with every network; a process inside accepts from the host's sockets and connects",
  },
  slirp4netns: {
    protos: IPV4,
    withIpv6: [],
    keepsClientAddress: ["tcp", "udp"],
    disallowLoopbackChildIP: true,
    networks: ["slirp4netns"],
    whileRunning: true,
    purpose: "slow; for UDP services that must see their clients' addresses",
  },
  pesto: {
    protos: IPV4,
    withIpv6: ["tcp6", "udp6"],
    keepsClientAddress: ["tcp", "udp"],
    disallowLoopbackChildIP: true,
    networks: ["pasta"],
    whileRunning: true,
    purpose: "pasta listens as it is told; for UDP services that must see their clients' addresses (pasta of 2026)",
  },
  implicit: {
    ...NOTHING,
    protos: IPV4,
    withIpv6: ["tcp6", "udp6"],
    keepsClientAddress: ["tcp", "udp"],
    networks: ["pasta"],
    purpose:
      "pasta publishes every port that a program inside listens on, by itself and on all addresses; without --disable-host-loopback, and with pasta of 2023, the host's loopback ports inside as well",
  },
  none: {
    ...NOTHING,
    networks: [...helpers, "lxc-user-nic", "none", "host"],
    purpose: "nothing is published; with --net=host programs listen on the host itself",
  },
};

const unfit = (text: string, hint: string): RlkitError => new RlkitError("USAGE", text, { hint });

/**
 * The port driver for a network. `auto` is builtin wherever there is something to publish from. Throws a USAGE error, in
 * RootlessKit's words, for a pair that does not go together.
 */
export function choosePortDriver(asked: PortDriverName | "auto", network: Network): PortDriverName {
  const net = networkName(network);
  if (asked === "auto") return net === "host" ? "none" : "builtin";
  if (asked === "builtin" && net === "host") {
    throw unfit(
      "port driver requires non-host network",
      "with --net=host nothing needs to be published: programs listen on the host itself",
    );
  }
  const { networks } = capabilities[asked];
  if (!networks.includes(net)) {
    const [needed = ""] = networks;
    throw unfit(
      `port driver requires ${needed} network: --port-driver=${asked} does not go with ${net}`,
      `add --net=${needed}, or use --port-driver=builtin`,
    );
  }
  if (asked === "pesto" && network.kind === "helper" && !network.helper.features.has("--conf-path")) {
    const text = `cannot use --port-driver=pesto: ${network.helper.path} is too old: it has no --conf-path`;
    throw unfit(text, "install passt of 2026, which brings pesto along, or use --port-driver=builtin");
  }
  return asked;
}

/** What somebody who publishes this port might expect and does not get, as a sentence; undefined if nothing. */
export function losses(driver: PortDriverName, spec: PortSpec): string | undefined {
  const parent = parseAddress(spec.parentIP ?? "");
  const everywhere = parent === undefined && !/[46]$/.test(spec.proto);
  switch (driver) {
    case "builtin":
      if (isPrivate(spec)) return undefined;
      if (socketKind(spec) === "datagram") {
        return "UDP clients' addresses are not kept: programs inside see the network's own address instead; --port-driver=slirp4netns or pesto keeps them";
      }
      if ((spec.proto.endsWith("6") || parent?.family === 6) && parseAddress(targetAddress(spec))?.family === 4) {
        return "IPv6 clients' addresses are not kept where the program inside is reached over IPv4: give an IPv6 childIP, such as [::1]";
      }
      return undefined;
    case "slirp4netns":
    case "pesto":
      return everywhere
        ? `ports are published on IPv4 only: the ${driver} port driver takes no IPv6 clients along`
        : undefined;
    case "implicit":
      return "-p has no effect with --port-driver=implicit: pasta publishes what listens inside, by the same number";
    case "none":
      return undefined;
  }
}
