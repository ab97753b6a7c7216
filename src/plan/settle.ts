import type { HostFacts } from "../host/facts.ts";
import { freeCidr } from "../network/free-cidr.ts";
import type { RunOptions } from "../options/run-options.ts";

/** The options with what this host has decided about those that the user has left open. */
export function settle(options: RunOptions, { network: { routed = [] } }: HostFacts): RunOptions {
  const cidr = freeCidr(options.network.cidr, routed);
  return cidr === options.network.cidr ? options : { ...options, network: { ...options.network, cidr } };
}
