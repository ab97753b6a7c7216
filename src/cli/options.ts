import { networkNames } from "../network/driver.ts";
import { portDriverNames } from "../ports/driver.ts";

/** What a shell can complete: paths, a program and its arguments, or some of the words that are possible. */
export type Completable = "file" | "directory" | "program" | readonly string[];

/** One command-line option, in yargs' own terms; the only place that says what there is. */
export interface Option {
  type: "string" | "boolean" | "number" | "array";
  describe: string;
  choices?: readonly string[];
  alias?: string;
  default?: string | boolean | number;
  group?: string;
  /** What its value is, where there are no `choices`. */
  completes?: Completable;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** What a parse yields: a value by option name; what follows the options is the target's argv. */
export interface Parsed {
  values: Readonly<Record<string, string | boolean | number | string[] | undefined>>;
  /** The options that the command line itself names; the values of the others are defaults. */
  given: readonly string[];
  command: readonly string[];
}

/** The option of every command. */
export const helpOption: OptionTable = { help: { type: "boolean", alias: "h", describe: "this help" } };

const network = { group: "Network:" };
const ports = { group: "Ports:" };
const namespaces = { group: "Namespaces:" };
const mounts = { group: "Mounts:" };
const ids = { group: "Users and groups:" };
const supervision = { group: "Supervision:" };
const log = { group: "Log:" };

/** The options of `run` and `plan`. */
export const runOptions: OptionTable = {
  instance: { type: "string", describe: "name of this instance, beside others: its own state, data and socket" },
  "state-dir": { type: "string", completes: "directory", describe: "state directory: lock, child_pid, api.sock" },
  net: {
    type: "string",
    choices: networkNames,
    default: "auto",
    describe: "network driver",
    ...network,
  },
  mtu: { type: "number", describe: "bytes a packet; 0 for the driver's default (65520)", ...network },
  cidr: { type: "string", describe: "network address, like 10.0.2.0/24 (the default)", ...network },
  ifname: { type: "string", describe: "name of the interface inside (tap0; eth0 for lxc-user-nic)", ...network },
  "lxc-user-nic-bridge": { type: "string", describe: "the host's bridge for lxc-user-nic (lxcbr0)", ...network },
  "disable-host-loopback": { type: "boolean", describe: "no way to the host's 127.0.0.1 from inside", ...network },
  "host-access": {
    type: "string",
    describe:
      "what of the host's 127.0.0.1 is reachable inside: none, all (at 10.0.2.2), or PORT[/udp],… at their numbers",
    completes: ["none", "all"],
    ...network,
  },
  "cloud-metadata": {
    type: "string",
    choices: ["allow", "block"],
    default: "allow",
    describe: "block: no way from inside to 169.254.169.254, where clouds tell keys",
    ...network,
  },
  ipv6: { type: "boolean", describe: "IPv6 as well", ...network },
  "detach-netns": {
    type: "boolean",
    describe: "leave the command in the host's network namespace; the new one is in $ROOTLESSKIT_STATE_DIR/netns",
    ...network,
  },
  publish: {
    type: "array",
    alias: "p",
    describe: "publish a port: [HOSTIP]:PORT[:IP]:INNERPORT[/PROTO] (repeat)",
    ...ports,
  },
  "port-driver": {
    type: "string",
    choices: ["auto", ...portDriverNames],
    default: "auto",
    describe: "what forwards ports",
    ...ports,
  },
  "source-ip-transparent": {
    type: "boolean",
    default: true,
    describe: "the target sees clients' own addresses (builtin driver, TCP)",
    ...ports,
  },
  "source-ip-transparent-backend": {
    type: "string",
    choices: ["auto", "nft", "iptables"],
    default: "auto",
    describe: "what marks those connections",
    ...ports,
  },
  pidns: { type: "boolean", describe: "a pid namespace", ...namespaces },
  utsns: { type: "boolean", describe: "a host name of its own", ...namespaces },
  ipcns: { type: "boolean", describe: "System V IPC and POSIX queues of its own", ...namespaces },
  cgroupns: { type: "boolean", describe: "a cgroup namespace", ...namespaces },
  "evacuate-cgroup2": {
    type: "string",
    describe: "move the processes of the own cgroup into this group below it (with --cgroupns and --pidns)",
    ...namespaces,
  },
  reaper: {
    type: "string",
    choices: ["auto", "true", "false"],
    default: "auto",
    describe: "true: its own session, away from the terminal (with --pidns; zombies are reaped always)",
    ...namespaces,
  },
  "copy-up": {
    type: "array",
    describe: "make this directory writable inside (repeat, or separate by commas)",
    completes: "directory",
    ...mounts,
  },
  propagation: {
    type: "string",
    choices: ["private", "rprivate", "slave", "rslave", "shared", "rshared"],
    describe: "mount propagation of / (rprivate)",
    ...mounts,
  },
  "subid-source": {
    type: "string",
    choices: ["auto", "dynamic", "static"],
    default: "auto",
    describe: "sub-ids from getsubids (dynamic) or /etc/subuid and /etc/subgid (static)",
    ...ids,
  },
  "uid-map": { type: "array", describe: "a user id map of one's own: inside:outside:count", ...ids },
  "gid-map": { type: "array", describe: "a group id map of one's own: inside:outside:count", ...ids },
  map: { type: "string", describe: 'other id maps: remap:USER, those of dockerd\'s "userns-remap": "USER"', ...ids },
  restart: {
    type: "string",
    describe: "start it again: no, on-failure[:MAX], always, unless-stopped (dockerd: on-failure)",
    completes: ["no", "on-failure", "always", "unless-stopped"],
    ...supervision,
  },
  "restart-delay": { type: "string", describe: "first pause, doubled each time (100ms)", ...supervision },
  "restart-burst": {
    type: "string",
    describe: "give up after N useless runs within SECONDS: N/SECONDS (5/60)",
    ...supervision,
  },
  "stop-timeout": { type: "string", describe: "time to end before it is killed (dockerd: 30s)", ...supervision },
  "health-interval": { type: "string", describe: "ask it so often whether it answers (0: never)", ...supervision },
  "live-restore": {
    type: "string",
    choices: ["auto", "true", "false"],
    default: "auto",
    describe: "containers live on while dockerd is restarted",
    ...supervision,
  },
  scope: {
    type: "boolean",
    describe: "in a cgroup of the user's own (systemd-run --user --scope), so that containers get their limits",
    ...supervision,
  },
  wait: { type: "boolean", describe: "start in the background, return when it is ready", ...supervision },
  "ready-fd": { type: "number", describe: "write a newline to this descriptor when it is ready", ...supervision },
  "log-level": {
    type: "string",
    choices: ["trace", "debug", "info", "warn", "error", "silent"],
    default: "info",
    describe: "what to log on standard error",
    ...log,
  },
  "log-file": { type: "string", completes: "file", describe: "log to this file (JSON lines) instead", ...log },
};
