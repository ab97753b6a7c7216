import { addresses, type HelperDriver, ipv4 } from "./driver.ts";

/** slirp4netns: a TCP/IP stack in user space behind a tap device; works wherever /dev/net/tun can be opened. */
export const slirp4netns: HelperDriver = {
  name: "slirp4netns",
  defaultMtu: 65520,
  probes: [
    "--netns-type",
    "--cidr",
    "--disable-host-loopback",
    "--enable-ipv6",
    "--enable-sandbox",
    "--enable-seccomp",
  ],
  required: ["--netns-type"],
  ready: "fd",

  args(options, helper, forwarding) {
    const args = ["--mtu", String(options.mtu ?? this.defaultMtu), "--ready-fd", "3"];
    if (options.disableHostLoopback) args.push("--disable-host-loopback");
    if (options.cidr.custom) args.push("--cidr", `${ipv4(options.cidr.base)}/${options.cidr.prefix}`);
    // Its packet parser reads what containers send, and it had its share of memory errors: never without its own walls
    // where it has them.
    for (const wall of ["--enable-sandbox", "--enable-seccomp"]) if (helper.features.has(wall)) args.push(wall);
    if (options.ipv6) args.push("--enable-ipv6");
    if (forwarding.kind === "socket") args.push("--api-socket", forwarding.path);
    return [...args, "{child}", options.ifname];
  },

  before: (options) => [
    { op: ["tap", options.ifname], why: "a persistent tap device, so that its addresses outlive the helper" },
  ],

  after(options) {
    const { child, gateway, prefix } = addresses(options);
    return [
      {
        op: ["link_mtu", options.ifname, options.mtu ?? this.defaultMtu],
        why: "large frames: fewer of them, more throughput",
      },
      { op: ["link_up", options.ifname], why: "the tap carries packets from here on" },
      { op: ["addr_add", options.ifname, child, prefix], why: "the address that slirp4netns forwards to" },
      { op: ["route_default", options.ifname, gateway], why: "slirp4netns is the router" },
    ];
  },
};
