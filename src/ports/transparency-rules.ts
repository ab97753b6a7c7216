import { type Attribute, encodeMessages, Flag, type NetlinkMessage, u32 } from "../native/netlink-messages.ts";
import * as nft from "../native/nftables.ts";
import { Open, type Operation } from "../plan/operations.ts";

// What brings the answers to a client's address back to portd, as data. portd connects with a transparent socket from the
// client's own address; what it sends carries CONNECT_MARK. The marking remembers that with the connection (conntrack, so that it
// also holds behind the DNAT of a container's bridge) and puts REPLY_MARK on what arrives for it; the routing delivers what has
// REPLY_MARK here, whosever address it is for. A listener on this side gives the mark to the connections that it accepts
// (tcp_fwmark_accept); a closed port to its refusals (fwmark_reflect: without it, being refused looks like a lost packet).

/** The IP versions. Each is set up by itself: a kernel without IPv6 keeps IPv4 clients. */
export type IpVersion = 4 | 6;

const CONNECT_MARK = 0x726c0001; // as native/portd.c has it
const REPLY_MARK = 0x726c0002;
const TABLE = 29292;
const PRIORITY = 100; // after the local table, before the main one

/**
 * Sockets that are kept for a minute after their end. A socket with a client's port takes that number from every program inside
 * that connects to anywhere: of 28,000 of them in a minute all would be gone, and the search slow long before.
 */
const TIME_WAIT_MAX = 4096;

const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;

/** An operation inside, what to say when it fails, and the failures that don't matter: that the thing is there already, or any. */
export interface Part {
  op: Operation;
  failure: string;
  mayFail?: "EEXIST" | "any";
}

/** The routing. Doing it twice changes nothing. */
export function routing(version: IpVersion): Part[] {
  const parts: Part[] = [
    sysctl(`ipv${version}/fwmark_reflect`, "1"),
    {
      op: toRoute(rule(version, 32, Flag.create | Flag.exclusive)),
      failure: `cannot add the IPv${version} routing rule`,
      mayFail: "EEXIST",
    },
    { op: toRoute(route(version, 24, Flag.create | Flag.replace)), failure: `cannot add the IPv${version} route` },
  ];
  if (version === 6) return parts;
  // These two hold for IPv6 as well.
  const timeWait = sysctl("ipv4/tcp_max_tw_buckets", String(TIME_WAIT_MAX));
  return [sysctl("ipv4/tcp_fwmark_accept", "1"), { ...timeWait, mayFail: "any" }, ...parts];
}

function sysctl(name: string, value: string): Part {
  const path = `/proc/sys/net/${name}`;
  return { op: ["write_file", path, Open.writeOnly, 0, value], failure: `cannot write ${path}` };
}

/** Takes the rule and the route of `routing` away. The sysctls stay: they change little for what is not marked. */
export function unrouting(version: IpVersion): Operation[] {
  return [toRoute(rule(version, 33, 0)), toRoute(route(version, 25, 0))];
}

const family = (version: IpVersion): number => (version === 4 ? 2 : 10);

function toRoute(message: NetlinkMessage): Operation {
  const flags = Flag.request | Flag.ack | message.flags;
  return ["netlink", NETLINK_ROUTE, encodeMessages([{ ...message, flags }])];
}

/** `ip rule add fwmark REPLY_MARK lookup TABLE priority PRIORITY`: RTM_NEWRULE or DELRULE with a struct fib_rule_hdr. */
function rule(version: IpVersion, type: number, flags: number): NetlinkMessage {
  const lookup = 1;
  const attributes: Attribute[] = [
    [10, u32(REPLY_MARK)],
    [15, u32(TABLE)],
    [6, u32(PRIORITY)],
  ];
  return { type, flags, body: Buffer.from([family(version), 0, 0, 0, 0, 0, 0, lookup, 0, 0, 0, 0]), attributes };
}

/** `ip route add local default dev lo table TABLE`: RTM_NEWROUTE or DELROUTE with a struct rtmsg. */
function route(version: IpVersion, type: number, flags: number): NetlinkMessage {
  const [boot, host, local] = [3, 254, 2]; // protocol, scope and type of the route
  const lo = 1; // the first interface of every network namespace
  const attributes: Attribute[] = [
    [15, u32(TABLE)],
    [4, u32(lo)],
  ];
  return { type, flags, body: Buffer.from([family(version), 0, 0, 0, 0, boot, host, local, 0, 0, 0, 0]), attributes };
}

/** The marking by nftables: a table `rlkit` of its own, all or none of it, in place of one that is there. */
export function nftMarking(version: IpVersion): Part {
  const tcp = [nft.meta.load(nft.meta.protocol), nft.equals(Buffer.from([6]))];
  const requests = [
    nft.newTable, // so that there is one to delete
    nft.deleteTable,
    nft.newTable,
    nft.mangleChain("output"),
    nft.mangleChain("prerouting"),
    // meta l4proto tcp meta mark CONNECT_MARK ct mark set CONNECT_MARK
    nft.rule("output", [
      ...tcp,
      ...[nft.meta.load(nft.meta.mark), nft.equals(u32(CONNECT_MARK))],
      ...[nft.immediate(u32(CONNECT_MARK)), nft.ct.set(nft.ct.mark)],
    ]),
    // meta l4proto tcp ct mark CONNECT_MARK meta mark set REPLY_MARK
    nft.rule("prerouting", [
      ...tcp,
      ...[nft.ct.load(nft.ct.mark), nft.equals(u32(CONNECT_MARK))],
      ...[nft.immediate(u32(REPLY_MARK)), nft.meta.set(nft.meta.mark)],
    ]),
  ];
  const bytes = nft.batch(version === 4 ? "ip" : "ip6", "rlkit", requests);
  return { op: ["netlink", NETLINK_NETFILTER, bytes], failure: `cannot add the IPv${version} nftables rules` };
}

/** The marking by iptables: the commands that add it, or (`delete`) take it away. */
export function iptablesMarking(version: IpVersion, action: "append" | "delete"): string[][] {
  const [connect, reply] = [CONNECT_MARK, REPLY_MARK].map((mark) => `0x${mark.toString(16)}`);
  const rules = [
    `OUTPUT -p tcp -m mark --mark ${connect} -j CONNMARK --set-mark ${connect}`,
    `PREROUTING -p tcp -m connmark --mark ${connect} -j MARK --set-mark ${reply}`,
  ];
  const program = version === 4 ? "iptables" : "ip6tables";
  return rules.map((text) => [program, "--wait", "5", "-t", "mangle", `--${action}`, ...text.split(" ")]);
}
