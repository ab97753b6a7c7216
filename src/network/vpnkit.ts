import type { HelperDriver } from "./driver.ts";
import { configureTap, makeTap } from "./tap.ts";

const SOCKET = "vpnkit-ethernet.sock";
const MTU = 1500; // the only one that it is known to work with

/** vpnkit gives these to whoever connects first. The host is 192.168.65.2. */
const addresses = { gateway: "192.168.65.1", dns: "192.168.65.1", child: "192.168.65.3", dns6: undefined, prefix: 24 };

/** vpnkit: a TCP/IP stack in user space behind a socket for Ethernet frames; Docker Desktop's. */
export const vpnkit: HelperDriver = {
  name: "vpnkit",
  program: "vpnkit",
  defaultMtu: MTU,
  addresses: () => addresses,
  probes: [],
  required: [],
  ready: () => "fd",
  ethernet: SOCKET,

  args({ mtu = MTU, disableHostLoopback }) {
    const args = ["--ethernet", `{state-dir}/${SOCKET}`, "--mtu", String(mtu)];
    return disableHostLoopback ? [...args, "--host-ip", "0.0.0.0"] : args;
  },

  before: ({ ifname }) => [makeTap(ifname)],
  after: ({ ifname, mtu = MTU }) => configureTap(ifname, mtu, addresses),
};
