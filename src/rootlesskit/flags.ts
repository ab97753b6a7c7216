import type { GoFlags } from "./go-flags.ts";

/** RootlessKit whose behaviour this is; with rlkit's own version as build metadata (semver.org). */
export const ROOTLESSKIT_VERSION = "3.1.0";
export const shownVersion = `${ROOTLESSKIT_VERSION}+rlkit.${__VERSION__}`;

const mount = { category: "Mount" };
const network = { category: "Network" };
const lxc = { category: "Network [lxc-user-nic]" };
const pasta = { category: "Network [pasta]" };
const slirp4netns = { category: "Network [slirp4netns]" };
const vpnkit = { category: "Network [vpnkit]" };
const port = { category: "Port" };
const process = { category: "Process" };

/** The options of `rootlesskit`: scripts look for their names in its help. */
export const rootlesskitFlags: GoFlags = {
  debug: { kind: "bool", usage: "debug mode", category: "Misc" },
  "print-semver": {
    kind: "string",
    usage: "print a version component as a decimal integer [major, minor, patch]",
    category: "Misc",
  },
  "copy-up": {
    kind: "list",
    usage:
      'make a directory writable inside, with its contents, e.g. "--copy-up=/etc" (typically required for non-host network)',
    ...mount,
  },
  "copy-up-mode": { kind: "string", value: "tmpfs+symlink", usage: "copy-up mode [tmpfs+symlink]", ...mount },
  propagation: { kind: "string", value: "rprivate", usage: "mount propagation [rprivate, rslave]", ...mount },
  net: {
    kind: "string",
    value: "host",
    usage: "network driver [host, none, pasta, slirp4netns, vpnkit, lxc-user-nic, gvisor-tap-vsock]",
    ...network,
  },
  mtu: {
    kind: "int",
    usage: "MTU for non-host network (0: 65520 for pasta, slirp4netns and gvisor-tap-vsock, 1500 for others)",
    ...network,
  },
  cidr: {
    kind: "string",
    usage: "CIDR for pasta, slirp4netns and gvisor-tap-vsock networks (10.0.2.0/24)",
    ...network,
  },
  ifname: { kind: "string", usage: "network interface name (tap0; eth0 for lxc-user-nic)", ...network },
  "disable-host-loopback": {
    kind: "bool",
    usage: "prohibit connecting to 127.0.0.1:* on the host namespace",
    ...network,
  },
  ipv6: {
    kind: "bool",
    usage: "IPv6 routing, for pasta and slirp4netns; unrelated to port forwarding (experimental)",
    ...network,
  },
  "detach-netns": {
    kind: "bool",
    usage: "leave the command in the host's network namespace, with the new one in $ROOTLESSKIT_STATE_DIR/netns",
    ...network,
  },
  "lxc-user-nic-binary": { kind: "string", usage: "path of lxc-user-nic binary for --net=lxc-user-nic", ...lxc },
  "lxc-user-nic-bridge": { kind: "string", value: "lxcbr0", usage: "lxc-user-nic bridge name", ...lxc },
  "pasta-binary": { kind: "string", value: "pasta", usage: "path of pasta binary for --net=pasta", ...pasta },
  "pesto-binary": { kind: "string", value: "pesto", usage: "path of pesto binary for --port-driver=pesto", ...pasta },
  "slirp4netns-binary": {
    kind: "string",
    value: "slirp4netns",
    usage: "path of slirp4netns binary for --net=slirp4netns",
    ...slirp4netns,
  },
  "slirp4netns-sandbox": {
    kind: "string",
    value: "false",
    usage: "enable slirp4netns sandbox [auto, true, false]",
    ...slirp4netns,
  },
  "slirp4netns-seccomp": {
    kind: "string",
    value: "false",
    usage: "enable slirp4netns seccomp [auto, true, false]",
    ...slirp4netns,
  },
  "vpnkit-binary": { kind: "string", value: "vpnkit", usage: "path of VPNKit binary for --net=vpnkit", ...vpnkit },
  "port-driver": {
    kind: "string",
    value: "none",
    usage:
      "port driver for non-host network [none, implicit (for pasta), builtin, slirp4netns, gvisor-tap-vsock, pesto (for pasta)]",
    ...port,
  },
  publish: { kind: "list", alias: "p", usage: 'publish ports, e.g. "127.0.0.1:8080:80/tcp"', ...port },
  "source-ip-transparent": {
    kind: "bool",
    value: true,
    usage: "keep the client's address (builtin port driver, TCP)",
    ...port,
  },
  "source-ip-transparent-backend": {
    kind: "string",
    value: "auto",
    usage: "what marks those connections [auto, nft, iptables]",
    ...port,
  },
  pidns: { kind: "bool", usage: "create a PID namespace", ...process },
  cgroupns: { kind: "bool", usage: "create a cgroup namespace", ...process },
  utsns: { kind: "bool", usage: "create a UTS namespace", ...process },
  ipcns: { kind: "bool", usage: "create an IPC namespace", ...process },
  reaper: {
    kind: "string",
    value: "auto",
    usage: "enable process reaper, requires --pidns [auto, true, false]",
    ...process,
  },
  "evacuate-cgroup2": {
    kind: "string",
    usage: "evacuate processes into the specified subgroup, requires --pidns and --cgroupns",
    ...process,
  },
  "state-dir": { kind: "string", usage: "state directory", category: "State" },
  "subid-source": {
    kind: "string",
    value: "auto",
    usage:
      'the source of the subids: "dynamic" executes getsubids, "static" reads /etc/{subuid,subgid} [auto, dynamic, static]',
    category: "SubID",
  },
};
