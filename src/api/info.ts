import { type Network, networkAddresses, networkName } from "../network/choose.ts";
import type { NetworkOptions } from "../network/driver.ts";
import { capabilities } from "../ports/capabilities.ts";
import type { PortDriverName } from "../ports/driver.ts";

/** The RootlessKit REST API that this is: 1.1.2 is RootlessKit 3.1's. */
const API_VERSION = "1.1.2";

/** `GET /v1/info`, as RootlessKit's clients decode it: names are case-sensitive, empty fields are left out. */
export interface Info {
  apiVersion: string;
  version: string;
  stateDir: string;
  childPID: number;
  networkDriver?: { driver: string; dns?: string[]; childIP?: string; dynamicChildIP?: true; ipv6?: true };
  portDriver?: PortDriverInfo;
}

interface PortDriverInfo {
  driver: PortDriverName;
  /** dockerd publishes on IPv6 if tcp6 is among them. */
  protos: string[];
  disallowLoopbackChildIP?: true;
  extra?: { sourceIPTransparentBackend: string };
  /** rlkit's own: clients of RootlessKit ignore it. `sourceIP`: for which of tcp and udp programs inside see the client's address. */
  capabilities: { ipv6: boolean; udp: boolean; sourceIP: string[] };
}

/** How one run's ports are published. */
export interface PortDriverFacts {
  name: PortDriverName;
  /** Clients' addresses are to be kept. */
  keepClient: boolean;
  /** By what means they are; undefined before the first port for which that matters. */
  backend: "nft" | "iptables" | "none" | undefined;
}

/** The answer for one run. The network driver is left out with --net=host, and a port driver that takes no ports always. */
export function info(
  stateDir: string,
  childPid: number,
  network: Network,
  options: NetworkOptions,
  portDriver?: PortDriverFacts,
): Info {
  return {
    apiVersion: API_VERSION,
    version: __VERSION__,
    stateDir,
    childPID: childPid,
    ...(network.kind !== "host" && { networkDriver: networkDriver(network, options) }),
    ...(portDriver !== undefined &&
      portDriver.name !== "none" &&
      portDriver.name !== "implicit" && { portDriver: portDriverInfo(portDriver, options) }),
  };
}

function networkDriver(network: Network, options: NetworkOptions): NonNullable<Info["networkDriver"]> {
  const driver = networkName(network);
  const addresses = networkAddresses(network, options);
  if (addresses === undefined) return { driver, ...(network.kind === "bridge" && { dynamicChildIP: true as const }) };
  const { child, dns, dns6 } = addresses;
  return {
    driver,
    dns: dns6 === undefined ? [dns] : [dns, dns6],
    childIP: child,
    ...(dns6 !== undefined && { ipv6: true as const }),
  };
}

function portDriverInfo({ name, keepClient, backend }: PortDriverFacts, { ipv6 }: NetworkOptions): PortDriverInfo {
  const { protos, withIpv6, disallowLoopbackChildIP, keepsClientAddress } = capabilities[name];
  const all = [...protos, ...(ipv6 ? withIpv6 : [])];
  // The other drivers keep addresses by themselves.
  const keeps = name !== "builtin" || (keepClient && backend !== "none");
  return {
    driver: name,
    protos: all,
    ...(disallowLoopbackChildIP && { disallowLoopbackChildIP }),
    ...(backend !== undefined && { extra: { sourceIPTransparentBackend: backend } }),
    capabilities: {
      ipv6: all.includes("tcp6"),
      udp: all.includes("udp"),
      sourceIP: keeps ? [...keepsClientAddress] : [],
    },
  };
}
