import { hostname } from "node:os";
import { cString, encodeMessages, Flag } from "../native/netlink-messages.ts";
import type { Network } from "../network/choose.ts";
import type { NetworkOptions } from "../network/driver.ts";
import { inside } from "./inside.ts";
import { Open, type Operation } from "./operations.ts";
import type { Step } from "./steps.ts";

const RTM_NEWLINK = 16;
/** Attributes of an interface, in linux/if_link.h. */
const Link = { address: 1, name: 3 } as const;

/** A hardware address for an interface, by its name. */
function linkAddress(name: string, mac: string): Operation {
  const attributes = [
    [Link.name, cString(name)],
    [Link.address, Buffer.from(mac, "hex")],
  ] as const;
  const message = { type: RTM_NEWLINK, flags: Flag.request | Flag.ack, body: Buffer.alloc(16), attributes };
  return ["netlink", 0, encodeMessages([message])];
}

/** A hardware address that follows from where a run has its state: locally administered (IEEE 802), 12 hexadecimal digits. */
function stableMac(stateDir: string): string {
  const { createHash } = process.getBuiltinModule("node:crypto");
  return `02${createHash("sha256").update(`${hostname()}:${stateDir}`).digest("hex").slice(0, 10)}`;
}

type Bridge = Extract<Network, { kind: "bridge" }>;

/** An interface on the host's bridge, with an address from there. */
export function plugIn({ ifname, bridge, mtu }: NetworkOptions, { path, why }: Bridge, stateDir: string): Step[] {
  const setting = (name: string): Step =>
    inside(
      ["write_file", `/proc/sys/net/ipv4/conf/${name}/rp_filter`, Open.writeOnly, 0, "0"],
      "while the interface has no address, answers come by a way on which nothing could be sent back",
      { onFailure: "warn" },
    );
  const mac = stableMac(stateDir);
  return [
    { do: "plug-in", path, bridge, ifname, why },
    inside(linkAddress(ifname, mac), "the same at every start, for then DHCP servers give the same address again"),
    ...(mtu === undefined ? [] : [inside(["link_mtu", ifname, mtu], "as asked for")]),
    setting("all"),
    setting(ifname),
    inside(["link_up", ifname], "it can ask for an address from here on"),
    { do: "await-lease", ifname, mac, why: "the bridge's DHCP server gives the address, the router, the name servers" },
  ];
}
