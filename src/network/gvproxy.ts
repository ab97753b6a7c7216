import { type Addresses, type HelperDriver, ipv4, type NetworkOptions, usualAddresses } from "./driver.ts";
import { configureTap, makeTap } from "./tap.ts";

const SOCKET = "gvproxy.sock";
const CONFIG = "gvproxy.json";
const MTU = 65520;

/** As RootlessKit has them with its library: x.1 is the router, and answers for names. */
function addresses(options: NetworkOptions): Addresses {
  const gateway = ipv4(options.cidr.base + 1);
  return { ...usualAddresses(options), gateway, dns: gateway, dns6: undefined };
}

/** What gvproxy takes as --config; its YAML is JSON as well. */
function config(options: NetworkOptions): object {
  const { gateway } = addresses(options);
  // Without an entry gvproxy makes one that leads to 127.0.0.1. This one leads nowhere: of addresses for documentation (RFC 5737).
  const nat = options.disableHostLoopback ? { "192.0.2.1": "192.0.2.1" } : { [gateway]: "127.0.0.1" };
  const { base, prefix } = options.cidr;
  return {
    stack: {
      mtu: options.mtu ?? MTU,
      subnet: `${ipv4(base)}/${prefix}`,
      gatewayIP: gateway,
      gatewayMacAddress: "5a:94:ef:e4:0c:dd",
      gatewayVirtualIPs: [gateway],
      nat,
    },
    "ec2-metadata-access": true, // --cloud-metadata says whether it is reached
  };
}

/** gvproxy: gVisor's TCP/IP stack behind a socket for Ethernet frames, which speaks vpnkit's protocol. */
export const gvproxy: HelperDriver = {
  name: "gvisor-tap-vsock",
  program: "gvproxy",
  directories: ["/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman"],
  defaultMtu: MTU,
  addresses,
  probes: ["-listen-vpnkit", "-config"],
  required: ["-listen-vpnkit", "-config"],
  ready: () => "fd",
  ethernet: SOCKET,
  file: (options) => ({ name: CONFIG, content: `${JSON.stringify(config(options), undefined, 2)}\n` }),
  args: () => ["-config", `{state-dir}/${CONFIG}`, "-listen-vpnkit", `unix://{state-dir}/${SOCKET}`],
  before: ({ ifname }) => [makeTap(ifname)],
  after: (options) => configureTap(options.ifname, options.mtu ?? MTU, addresses(options)),
};
