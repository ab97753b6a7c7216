import { type HelperDriver, ipv4, usualAddresses } from "./driver.ts";
import { configureTap, makeTap } from "./tap.ts";

const MTU = 65520;

/** slirp4netns: a TCP/IP stack in user space behind a tap device; works wherever /dev/net/tun can be opened. */
export const slirp4netns: HelperDriver = {
  name: "slirp4netns",
  program: "slirp4netns",
  defaultMtu: MTU,
  addresses: usualAddresses,
  probes: [
    "--netns-type",
    "--cidr",
    "--disable-host-loopback",
    "--enable-ipv6",
    "--enable-sandbox",
    "--enable-seccomp",
  ],
  required: ["--netns-type"],
  ready: () => "fd",

  args(options, helper, forwarding) {
    const args = ["--mtu", String(options.mtu ?? MTU), "--ready-fd", "3"];
    if (options.disableHostLoopback) args.push("--disable-host-loopback");
    if (options.cidr.custom) args.push("--cidr", `${ipv4(options.cidr.base)}/${options.cidr.prefix}`);
    // Its packet parser reads what containers send, and it had its share of memory errors: never without its own walls
    // where it has them.
    for (const wall of ["--enable-sandbox", "--enable-seccomp"]) if (helper.features.has(wall)) args.push(wall);
    if (options.ipv6) args.push("--enable-ipv6");
    if (forwarding.kind === "socket") args.push("--api-socket", forwarding.path);
    return [...args, "{child}", options.ifname];
  },

  before: ({ ifname }) => [makeTap(ifname)],
  after: (options) => configureTap(options.ifname, options.mtu ?? MTU, usualAddresses(options)),
};
