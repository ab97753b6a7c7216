import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { PEER, type Peer, peer } from "./peer.ts";
import { ROOT, start } from "./run.ts";

const run = promisify(execFile);

/** Another machine on a network with this one, by a pair of veth devices: a network namespace of its own. */
export interface Neighbour extends Peer, AsyncDisposable {
  readonly address: string;
  readonly address6: string;
  /** Addresses of this machine on that network: the first, and a secondary one. */
  readonly host: readonly [string, string];
  readonly host6: string;
}

// Of the ranges for benchmarks (RFC 2544) and for private networks, in which no real machine is; by process, so that two test runs
// do not meet.
const NETWORK = `198.19.${process.pid % 256}`;
const NETWORK6 = `fd72:6c6b:${(process.pid % 65_536).toString(16)}:`;

export async function startNeighbour(): Promise<Neighbour> {
  const netns = `rlt-neighbour-${process.pid}`;
  const [outer, inner] = [`rltn${process.pid}a`, `rltn${process.pid}b`];
  const ip = (...args: string[]) => run("ip", args);
  await ip("netns", "add", netns);
  await ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", netns);
  await writeFile(`/proc/sys/net/ipv6/conf/${outer}/disable_ipv6`, "0"); // some containers have it off for new devices
  for (const last of [1, 3]) await ip("addr", "add", `${NETWORK}.${last}/24`, "dev", outer);
  await ip("addr", "add", `${NETWORK6}:1/64`, "dev", outer, "nodad");
  await ip("link", "set", outer, "up");
  await ip("-n", netns, "addr", "add", `${NETWORK}.2/24`, "dev", inner);
  await ip("-n", netns, "addr", "add", `${NETWORK6}:2/64`, "dev", inner, "nodad");
  for (const device of ["lo", inner]) await ip("-n", netns, "link", "set", device, "up");
  const process_ = start(ROOT, ["ip", "netns", "exec", netns, "node", PEER], { stdin: "pipe" });
  return {
    address: `${NETWORK}.2`,
    address6: `${NETWORK6}:2`,
    host: [`${NETWORK}.1`, `${NETWORK}.3`],
    host6: `${NETWORK6}:1`,
    ...peer(process_),
    async [Symbol.asyncDispose]() {
      await process_[Symbol.asyncDispose]();
      await ip("link", "del", outer);
      await ip("netns", "del", netns);
    },
  };
}
