import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { cString, encodeMessages, Flag, u32 } from "../native/netlink-messages.ts";
import { type Network, networkName } from "../network/choose.ts";
import { type Forwarding, ipv4, type NetworkOptions, type ReasonedInstruction } from "../network/driver.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { Note } from "../profiles/profile.ts";
import { plugIn } from "./bridge.ts";
import { inside } from "./inside.ts";

import type { Operation } from "./operations.ts";

import type { Step } from "./steps.ts";

const asStep = ({ op, why }: ReasonedInstruction): Step => inside(op, why);

/** Starts the helper and goes on: it gets ready while the mounts are made. */
export function startHelper(
  options: NetworkOptions,
  network: Network,
  forwarding: Forwarding,
  stateDir: string,
): Step[] {
  if (network.kind !== "helper") return [];
  const { driver, helper, why } = network;
  const args = driver.args(options, helper, forwarding).map((arg) => arg.replace("{state-dir}", stateDir));
  const file = driver.file?.(options);
  const ethernet = driver.ethernet && { socket: join(stateDir, driver.ethernet), ifname: options.ifname };
  return [
    ...driver.before(options).map(asStep),
    ...(file === undefined
      ? []
      : [{ do: "write-state-file", ...file, why: `what ${driver.program} is to do` } as const]),
    {
      do: "start-helper",
      driver: driver.name,
      path: helper.path,
      args,
      ready: driver.ready(options, forwarding),
      ...(ethernet && { ethernet }),
      why,
    },
  ];
}

/** The attributes of an interface, in linux/if_link.h. */
const Link = { name: 3, gsoMaxSize: 41, gsoIpv4MaxSize: 63 } as const;
const RTM_NEWLINK = 16;
const LARGEST_SEGMENT = 524_280; // bytes; GSO_MAX_SIZE, rounded down to whole words

/** "Pass on segments of up to 512 KiB in one piece", which IPv4 does since Linux 6.3 and IPv6 since 5.19; 64 KiB is the default. */
function largeSegments(name: string): Operation {
  const size = u32(LARGEST_SEGMENT);
  const attributes = [
    [Link.name, cString(name)],
    [Link.gsoMaxSize, size],
    [Link.gsoIpv4MaxSize, size],
  ] as const;
  // struct ifinfomsg: all zero, for the interface is given by name.
  const message = { type: RTM_NEWLINK, flags: Flag.request | Flag.ack, body: Buffer.alloc(16), attributes };
  return ["netlink", 0, encodeMessages([message])];
}

/** `lo`, and the interface once the helper is ready. */
export function configureNetwork(options: NetworkOptions, network: Network, stateDir: string): Step[] {
  if (network.kind === "host") return [];
  const lo = [
    inside(["link_up", "lo"], "127.0.0.1 inside"),
    inside(largeSegments("lo"), "fewer of them: published ports are twice as fast", { onFailure: "ignore" }),
  ];
  if (network.kind === "bridge") return [...lo, ...plugIn(options, network, stateDir)];
  if (network.kind !== "helper") return lo;
  const ready: Step = { do: "await-helper", why: "no address before there is somebody to carry packets" };
  return [...lo, ready, ...network.driver.after(options).map(asStep)];
}

const RTM_NEWROUTE = 24;
const UNREACHABLE = 7; // the type of the route (rtnetlink(7))

/** Where clouds tell their virtual machines who they are, keys included: 169.254.169.254 and fd00:ec2::254. */
const metadataAddresses = [
  [2, Buffer.from([169, 254, 169, 254])],
  [10, Buffer.from("fd000ec2000000000000000000000254", "hex")],
] as const;

/** No way to the cloud's metadata from inside, if it is not to be reached. */
export function blockMetadata({ blockMetadata: isBlocked }: RunOptions, network: Network): Step[] {
  if (!isBlocked) return [];
  if (network.kind === "host") {
    throw new RlkitError(
      "USAGE",
      "--cloud-metadata=block is not possible with --net=host: the network is the host's own",
    );
  }
  return metadataAddresses.map(([family, address]) => {
    const body = Buffer.from([family, address.length * 8, 0, 0, 254, 4, 0, UNREACHABLE, 0, 0, 0, 0]); // struct rtmsg
    const attributes = [[1, address]] as const;
    const flags = Flag.request | Flag.ack | Flag.create | Flag.replace;
    const op: Operation = ["netlink", 0, encodeMessages([{ type: RTM_NEWROUTE, flags, body, attributes }])];
    return inside(op, "no way to the cloud's metadata service from inside", {
      onFailure: family === 2 ? "stop" : "ignore", // a kernel without IPv6 has no way there
    });
  });
}

/** What somebody is to know who expects the usual. */
export function networkNotes(options: RunOptions, network: Network): Note[] {
  return [...replaced(network), ...otherCidr(options, network), ...lostSockets(options, network)];
}

function replaced(network: Network): Note[] {
  if (network.kind !== "helper" || network.insteadOf === undefined) return [];
  const { name, problem } = network.insteadOf;
  const other = networkName(network);
  return [{ level: "warn", text: `no --net=${name} here: ${problem}; the network is ${other}'s (--net=${other})` }];
}

/** Abstract Unix sockets belong to a network namespace (unix(7)): from another one nobody reaches them. */
function lostSockets({ env, detachNetns }: RunOptions, { kind }: Network): Note[] {
  if (kind === "host" || detachNetns) return [];
  const isAbstract = { NOTIFY_SOCKET: /^@/, DBUS_SESSION_BUS_ADDRESS: /unix:(\w+=[^,;]*,)*abstract=/ };
  return Object.entries(isAbstract).flatMap(([name, like]) => {
    if (!like.test(env[name] ?? "")) return [];
    const text = `${name} names an abstract socket (${env[name]}), which can't be reached from a network namespace of its own`;
    return [{ level: "warn" as const, text }];
  });
}

function otherCidr({ network: { cidr } }: RunOptions, { kind }: Network): Note[] {
  if (cidr.insteadOf === undefined || kind !== "helper") return [];
  const text = `this host has a route to ${cidr.insteadOf}: inside, the network is ${ipv4(cidr.base)}/${cidr.prefix} (--cidr)`;
  return [{ level: "info", text }];
}
