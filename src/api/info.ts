import type { Network } from "../network/choose.ts";
import { addresses, type NetworkOptions } from "../network/driver.ts";

/** The RootlessKit REST API that this is: 1.1.2 is RootlessKit 3.1's. */
const API_VERSION = "1.1.2";

/** `GET /v1/info`, as RootlessKit's clients decode it: names are case-sensitive, empty fields are left out. */
export interface Info {
  apiVersion: string;
  version: string;
  stateDir: string;
  childPID: number;
  networkDriver?: { driver: string; dns?: string[]; childIP?: string; ipv6?: true };
}

/** The answer for one run. The network driver is left out with --net=host, and the port driver while there is none. */
export function info(stateDir: string, childPid: number, network: Network, options: NetworkOptions): Info {
  return {
    apiVersion: API_VERSION,
    version: __VERSION__,
    stateDir,
    childPID: childPid,
    ...(network.kind !== "host" && { networkDriver: networkDriver(network, options) }),
  };
}

function networkDriver(network: Network, options: NetworkOptions): NonNullable<Info["networkDriver"]> {
  if (network.kind !== "helper") return { driver: network.kind };
  const { child, dns, dns6 } = addresses(options);
  return {
    driver: network.driver.name,
    dns: dns6 === undefined ? [dns] : [dns, dns6],
    childIP: child,
    ...(options.ipv6 && { ipv6: true as const }),
  };
}
