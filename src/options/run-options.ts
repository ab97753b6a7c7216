import { basename, normalize, resolve } from "node:path";
import type { Parsed } from "../cli/options.ts";
import { RlkitError } from "../errors.ts";
import type { SubidSource } from "../idmap/source.ts";
import type { LogLevel } from "../log.ts";
import type { NetworkName, NetworkOptions } from "../network/driver.ts";
import type { PortDriverName, PortSpec } from "../ports/driver.ts";
import { parsePortSpec } from "../ports/spec.ts";
import { parseCidr } from "./cidr.ts";
import { type HostAccess, parseHostAccess } from "./host-access.ts";
import { instanceName } from "./instance-name.ts";
import { type ProfileName, resolveSupervision, type SupervisionOptions } from "./supervision.ts";

/** The target's environment, by name. */
export type Environment = Readonly<Record<string, string>>;

/** Everything the user asked for, checked, complete and never changed again. Nothing later reads argv or the environment. */
export interface RunOptions {
  command: readonly [string, ...string[]];
  /** Chosen by the target's name, or by that which rlkit was called by. */
  profile: ProfileName;
  /** Its name; undefined for the instance without one. */
  instance: string | undefined;
  /** Absolute; undefined for the profile's own place. */
  stateDir: string | undefined;
  network: NetworkOptions & { name: NetworkName };
  ports: {
    driver: PortDriverName | "auto";
    /** To be published before the target starts. */
    publish: readonly PortSpec[];
    /** Programs inside are to see the addresses of clients, and by which means. */
    keepClient: boolean;
    backend: "auto" | "nft" | "iptables";
  };
  hostAccess: HostAccess;
  /** 169.254.169.254, where clouds tell keys, is not to be reached from inside. */
  blockMetadata: boolean;
  namespaces: { pid: boolean; uts: boolean; ipc: boolean; cgroup: boolean };
  /** The target stays in the host's network namespace, and the new one is at `netns` in the state directory. */
  detachNetns: boolean;
  /** The group below the own cgroup to which its processes move; undefined to leave them. */
  evacuate: string | undefined;
  /** In a session of its own: whoever is pid 1 has no terminal, as init(1) has none. */
  newSession: boolean;
  copyUp: readonly string[];
  /** Undefined to leave it as the kernel makes it. */
  propagation: Propagation | undefined;
  subidSource: SubidSource;
  /** `inside:outside:count` each; empty for the map that follows from the delegated ranges. */
  uidMap: readonly string[];
  gidMap: readonly string[];
  /** The value of dockerd's userns-remap whose maps are to be taken; uidMap and gidMap are filled with them before a run is planned. */
  remap: string | undefined;
  env: Environment;
  /** Sockets that a service manager has handed over; undefined if there are none. */
  activation: Activation | undefined;
  /** Soft limit of open files for the target; -1 to leave it. */
  openFiles: number;
  log: { level: LogLevel; file: string | undefined };
  supervision: SupervisionOptions;
}

/** Descriptors from 3 on that the target is to get at the same numbers (sd_listen_fds(3)). */
export interface Activation {
  count: number;
  /** LISTEN_PID named this process, and so is to name the target. */
  own: boolean;
}

export type Propagation = "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";

const MAX_MTU = 65521;
/** Sockets of a service manager's that the launcher looks for (native/launcher.c). */
const SOCKETS_MAX = 9;

function usage(text: string, hint?: string): RlkitError {
  return new RlkitError("USAGE", text, { hint });
}

/** What the launcher has seen before Node changed it. */
const ownVariables = ["RLKIT_GIVE_OPEN_FILES", "RLKIT_GIVE_SOCKETS"];

/** The environment that rlkit was started with, without what its launcher put in and with what the launcher held back. */
export function targetEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || ownVariables.includes(name)) continue;
    result[name.startsWith("RLKIT_GIVE_") ? name.slice("RLKIT_GIVE_".length) : name] = value;
  }
  return result;
}

/** What LISTEN_FDS and LISTEN_PID say; nothing if either is no number, as RootlessKit has it. Throws if a socket is not there. */
export function activation(env: NodeJS.ProcessEnv, self: number): Activation | undefined {
  const { LISTEN_FDS: fds, LISTEN_PID: pid, RLKIT_GIVE_SOCKETS: open } = env;
  if (!/^\d+$/.test(fds ?? "") || !/^\d+$/.test(pid ?? "") || Number(fds) === 0) return undefined;
  const count = Number(fds);
  if (count > SOCKETS_MAX) throw usage(`LISTEN_FDS=${count}: at most ${SOCKETS_MAX} sockets can be handed over`);
  if (count > Number(open ?? count)) {
    const hint = "it is for a service manager to set; unset it, or hand the sockets over";
    throw usage(`LISTEN_FDS=${count}: descriptor ${3 + Number(open)} is not open`, hint);
  }
  return { count, own: Number(pid) === self };
}

/** Without what a service manager tells rlkit itself (sd_notify(3)): the target gets a socket of rlkit's. */
function withoutManager({ NOTIFY_SOCKET: _, WATCHDOG_USEC: __, WATCHDOG_PID: ___, ...env }: Record<string, string>) {
  return env;
}

/** An environment as execve(2) takes it. */
export function environmentList(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value ?? ""}`);
}

/** The soft limit of open files that the launcher found; -1 if it is unlimited or unknown. */
export function openFilesLimit(env: NodeJS.ProcessEnv): number {
  const limit = Number(env.RLKIT_GIVE_OPEN_FILES);
  return Number.isSafeInteger(limit) && limit > 0 && limit < 2 ** 31 ? limit : -1;
}

/** What each profile needs to write to. */
const copiedUp: Record<ProfileName, readonly string[]> = {
  docker: ["/etc", "/run"],
  containerd: ["/etc", "/run", "/var/lib"],
  plain: [],
};

/** dockerd's containers are other people's programs: no way to the host's loopback unless asked for. */
function hostAccessOf(given: string | undefined, disabled: boolean | undefined, profile: ProfileName): HostAccess {
  if (given === undefined) return { all: !(disabled ?? profile !== "plain"), ports: [] };
  const access = parseHostAccess(given);
  if (disabled !== undefined && disabled === access.all) {
    throw usage(`--host-access=${given} and --disable-host-loopback${disabled ? "" : "=false"} contradict each other`);
  }
  return access;
}

function evacuation(name: string | undefined, { cgroupns, pidns }: Parsed["values"]): string | undefined {
  if (name === undefined) return undefined;
  for (const [option, given] of Object.entries({ cgroupns, pidns })) {
    if (given !== true) throw usage(`--evacuate-cgroup2 requires --${option}`);
  }
  if (/[/\s]|^\.*$/.test(name)) throw usage(`--evacuate-cgroup2=${name} is no name of a group: one word, without /`);
  return name;
}

function copyUpDirectories(given: readonly string[], profile: ProfileName): string[] {
  const asked = [...copiedUp[profile], ...given];
  const directories = asked.flatMap((value) => value.split(",")).map((value) => normalize(value.trim()));
  for (const directory of directories) {
    if (!directory.startsWith("/")) throw usage(`--copy-up=${directory} is not an absolute path`);
    if (directory === "/") throw usage("--copy-up=/ is not possible: only directories below / can be copied up");
    if (/^\/tmp(\/|$)/.test(directory)) {
      throw usage(`--copy-up=${directory} is not possible: /tmp is needed while directories are copied up`);
    }
  }
  return [...new Set(directories.map((directory) => directory.replace(/\/$/, "")))];
}

/** The USER of `--map=remap:USER`. */
function remapOf(map: string | undefined, ownMaps: boolean): string | undefined {
  if (map === undefined) return undefined;
  const [, user] = /^remap:(.+)$/s.exec(map) ?? [];
  if (user === undefined) throw usage(`--map=${map} is no map that rlkit knows`, "write --map=remap:USER");
  if (ownMaps) throw usage(`--map=${map} does not go with --uid-map and --gid-map: it is both maps`);
  return user;
}

/** The profile of a program, by its name. */
const profileOf = (program: string): ProfileName => (basename(program) === "dockerd" ? "docker" : "plain");

/** Turns what was parsed, with the environment and the target's profile, into checked options. Throws a USAGE error. */
export function resolveRunOptions(
  parsed: Pick<Parsed, "values" | "command">,
  env: NodeJS.ProcessEnv,
  cwd: string,
  profile = profileOf(parsed.command[0] ?? ""),
): RunOptions {
  const { values } = parsed;
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const list = (name: string): readonly string[] => (values[name] as string[] | undefined) ?? [];
  const [program, ...args] = parsed.command;
  if (program === undefined || program === "") {
    throw usage("no command to run", "say which after the options: rlkit run -- dockerd");
  }
  const net = text("net") as NetworkName;

  const mtu = (values.mtu as number | undefined) || undefined;
  if (mtu !== undefined && mtu > MAX_MTU) throw usage(`--mtu=${mtu} is too large: mtu must be <= ${MAX_MTU}`);
  if (mtu !== undefined && mtu < 68) throw usage(`--mtu=${mtu} is too small: IPv4 needs 68 bytes`);
  const ifname = text("ifname") ?? (net === "lxc-user-nic" ? "eth0" : "tap0");
  if (!/^[^/\s]{1,15}$/.test(ifname))
    throw usage(`--ifname=${ifname} is no interface name: 1 to 15 characters, no / or blank`);
  const bridge = text("lxc-user-nic-bridge") ?? "lxcbr0";
  if (!/^[^/\s]{1,15}$/.test(bridge)) throw usage(`--lxc-user-nic-bridge=${bridge} is no name of an interface`);
  if ((net === "vpnkit" || net === "lxc-user-nic") && values.cidr !== undefined) {
    throw usage(`custom cidr is not supported for --net=${net}: it decides about its addresses itself`);
  }
  if (net === "none" || net === "host") {
    for (const name of ["cidr", "ifname"]) {
      if (values[name] !== undefined)
        throw usage(`--${name} is not supported for --net=${net}: it has no interface of its own`);
    }
    if (profile !== "plain" && net === "host") {
      throw usage(
        "--net=host is not possible with dockerd: its bridge and firewall need a network namespace",
        "use --net=auto",
      );
    }
  }

  if (values.reaper === "true" && values.pidns !== true) throw usage("--reaper=true requires --pidns");

  const hostAccess = hostAccessOf(text("host-access"), values["disable-host-loopback"] as boolean | undefined, profile);
  const uidMap = list("uid-map");
  const gidMap = list("gid-map");
  const remap = remapOf(text("map"), uidMap.length + gidMap.length > 0);
  if (uidMap.length > 0 !== gidMap.length > 0) {
    const [given, missing] = uidMap.length > 0 ? ["--uid-map", "--gid-map"] : ["--gid-map", "--uid-map"];
    throw usage(`${given} needs ${missing} as well: a namespace has both maps`);
  }

  const propagation = (text("propagation") as Propagation | undefined) ?? (profile === "plain" ? "rprivate" : "rslave");
  const copyUp = copyUpDirectories(list("copy-up"), profile);
  if (copyUp.length > 0 && propagation.endsWith("shared")) {
    throw usage(`--propagation=${propagation} does not go with --copy-up: mounts can't be moved below a shared one`);
  }
  const stateDir = text("state-dir");
  const logFile = text("log-file");
  return Object.freeze({
    command: [program, ...args] as const,
    profile,
    instance: instanceName(values.instance, env),
    stateDir: stateDir === undefined ? undefined : resolve(cwd, stateDir),
    network: {
      name: net,
      mtu,
      ifname,
      cidr: parseCidr(text("cidr")),
      disableHostLoopback: !hostAccess.all,
      ipv6: values.ipv6 === true,
      bridge,
    },
    ports: {
      driver:
        text("port-driver") === "gvisor-tap-vsock" ? "builtin" : (text("port-driver") as RunOptions["ports"]["driver"]),
      publish: list("publish").map((spec) => parsePortSpec(spec, { defaultProto: "tcp" })),
      keepClient: values["source-ip-transparent"] !== false,
      backend: text("source-ip-transparent-backend") as RunOptions["ports"]["backend"],
    },
    hostAccess,
    blockMetadata: text("cloud-metadata") === "block",
    namespaces: {
      pid: values.pidns === true,
      uts: values.utsns === true,
      ipc: values.ipcns === true,
      cgroup: values.cgroupns === true,
    },
    detachNetns: values["detach-netns"] === true,
    evacuate: evacuation(text("evacuate-cgroup2"), values),
    newSession: values.reaper === "true",
    copyUp,
    propagation,
    subidSource: text("subid-source") as SubidSource,
    uidMap,
    gidMap,
    remap,
    env: withoutManager(targetEnvironment(env)),
    activation: activation(env, process.pid),
    openFiles: openFilesLimit(env),
    log: {
      level: text("log-level") as LogLevel,
      file: logFile === undefined ? undefined : resolve(cwd, logFile),
    },
    supervision: resolveSupervision(values, env, profile),
  });
}
