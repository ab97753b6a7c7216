import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { DockerFacts } from "../host/docker-facts.ts";
import type { HostFacts } from "../host/facts.ts";
import { targetPath } from "../native/paths.ts";
import { defaultMtu, leadsOut, type Network } from "../network/choose.ts";
import type { RunOptions } from "../options/run-options.ts";
import { inside } from "../plan/inside.ts";
import { Open } from "../plan/operations.ts";
import type { Step } from "../plan/steps.ts";
import { limitNotes } from "./limits.ts";
import { wantsLiveRestore, withLiveRestore } from "./live-restore.ts";
import type { Profile } from "./profile.ts";
import { storageDrivers } from "./storage.ts";

/** The directory that dockerd-rootless.sh uses too, and where `docker`'s and nerdctl's tools look for child_pid. */
export const dockerStateDir = (runtimeDir: string, instance: string | undefined): string =>
  join(runtimeDir, instance === undefined ? "dockerd-rootless" : `dockerd-rootless-${instance}`);

/** The variables with which a docker client finds this daemon. */
export function dockerClientEnv({ runtimeDir, settings }: DockerFacts): Record<string, string> {
  return { XDG_RUNTIME_DIR: runtimeDir.path, DOCKER_HOST: settings.host };
}

/** dockerd: what dockerd-rootless.sh does for it, and what its users then find out the hard way (MTU, storage driver). */
export function dockerProfile(options: RunOptions, facts: HostFacts, network: Network): Profile {
  const { docker } = facts;
  if (docker === undefined) throw new Error("the docker profile needs its facts");
  checkDetachment(options, docker);
  const mtu = leadsOut(network) && !docker.settings.mtu ? (options.network.mtu ?? defaultMtu(network)) : undefined;
  const stateDir = options.stateDir ?? dockerStateDir(docker.runtimeDir.path, options.instance);
  const live = wantsLiveRestore(options.supervision, docker);
  const liveRestore = live.wanted ? { from: docker.configFile, to: join(stateDir, CONFIG) } : undefined;
  return {
    stateDir,
    command: [
      ...options.command,
      ...docker.settings.apart,
      ...(liveRestore === undefined ? [] : [`--config-file=${liveRestore.to}`]),
      ...(mtu === undefined ? [] : [`--mtu=${mtu}`]),
      // Of all drivers' data, dockerd passes over vfs's when it looks for what is there already.
      ...(docker.priorStorage === "vfs" ? ["--storage-driver=vfs"] : []),
    ],
    env: {
      ...options.env,
      HOME: docker.home,
      XDG_RUNTIME_DIR: docker.runtimeDir.path,
      PATH: searchPath(options.env.PATH),
      ...(docker.selinux && { _DOCKERD_ROOTLESS_SELINUX: "1" }), // dockerd chooses its storage driver by that
    },
    prepare: privateRuntimeDir(docker),
    steps: [
      ...cleanRun(),
      ...label(docker),
      ...(options.namespaces.pid ? forgetPids(docker) : []),
      ...forwarding(network),
      ...storage(docker),
      ...(live.wanted ? configuration(docker) : []),
    ],
    clientEnv: dockerClientEnv(docker),
    daemon: { socket: socketPath(docker.settings.host), liveRestore },
    notes: [
      ...notes(docker, facts),
      ...limitNotes(docker.cgroups),
      ...(live.note === undefined ? [] : [{ level: "info" as const, text: live.note }]),
    ],
  };
}

/** rlkit's rootlesskit-docker-proxy first (dockerd up to 27 refuses to start without one), the user's PATH, then sbin. */
function searchPath(path = "/usr/local/bin:/usr/bin:/bin"): string {
  const given = path.split(":");
  return [targetPath(), ...given, ...["/usr/sbin", "/sbin"].filter((dir) => !given.includes(dir))].join(":");
}

function privateRuntimeDir({ runtimeDir: { path, origin } }: DockerFacts): Step[] {
  if (origin !== "private") return [];
  return [
    { do: "make-private-dir", path, why: "in place of XDG_RUNTIME_DIR: there is no /run/user directory of yours" },
  ];
}

/** The copied-up /run holds links to what a rootful Docker left there, which this user can't write to. */
function cleanRun(): Step[] {
  return ["docker", "containerd", "xtables.lock"].map((name) =>
    inside(["unlink", `/run/${name}`], "a link to the rootful Docker's, which this one can't use", {
      onFailure: "ignore",
    }),
  );
}

/** iptables has its lock in /run, and SELinux lets it touch files of this type only; the host's own /run keeps its label. */
function label({ selinux }: DockerFacts): Step[] {
  if (!selinux) return [];
  const argv = ["chcon", "system_u:object_r:iptables_var_run_t:s0", "/run"];
  return [{ do: "execute", argv, why: "SELinux: iptables may make its lock in /run inside" }];
}

/** In a new pid namespace numbers begin anew, and a daemon that was killed may well have had that of a process of today. */
function forgetPids({ settings: { pidFiles } }: DockerFacts): Step[] {
  return pidFiles.map((path) =>
    inside(["unlink", path], "a killed daemon's number means nothing in a new pid namespace", { onFailure: "ignore" }),
  );
}

function forwarding(network: Network): Step[] {
  if (network.kind === "host") return [];
  const write = (path: string, onFailure: "stop" | "ignore", why: string): Step =>
    inside(["write_file", path, Open.writeOnly, 0, "1"], why, { onFailure });
  return [
    write("/proc/sys/net/ipv4/ip_forward", "stop", "containers reach the network through the bridge"),
    write("/proc/sys/net/ipv6/conf/all/forwarding", "ignore", "the same for IPv6, where the kernel has it"),
  ];
}

/** Where `docker` reaches it, if that is a Unix socket. */
const socketPath = (host: string): string | undefined => /^unix:\/\/(\/.*)$/.exec(host)?.[1];

/** The copy of daemon.json, in the state directory. */
const CONFIG = "daemon.json";

function configuration({ config }: DockerFacts): Step[] {
  return [
    {
      do: "write-state-file",
      name: CONFIG,
      content: withLiveRestore(JSON.stringify(config), true),
      why: "your daemon.json with live-restore: containers live on while dockerd is restarted",
    },
  ];
}

/** dockerd 29 and later stores images in containerd and chooses well by itself. */
const choosesItself = ({ version }: DockerFacts): boolean => version !== undefined && version.major >= 29;

/** One that does not know of `netns` in the state directory would work on the host's own network, and fail there. */
function checkDetachment({ detachNetns }: RunOptions, { version }: DockerFacts): void {
  if (!detachNetns || version === undefined || version.major > 29 || (version.major === 29 && version.minor >= 5))
    return;
  throw new RlkitError(
    "USAGE",
    `--detach-netns needs dockerd 29.5 or later, and this one is ${version.major}.${version.minor}`,
    {
      hint: "leave --detach-netns away",
    },
  );
}

function storage(docker: DockerFacts): Step[] {
  const { settings, priorStorage, fuseOverlayfs } = docker;
  if (settings.storageDriver || priorStorage !== undefined || choosesItself(docker)) return [];
  const candidates = storageDrivers.filter((driver) => driver !== "fuse-overlayfs" || fuseOverlayfs);
  return [
    {
      do: "choose-storage",
      dataRoot: settings.dataRoot,
      candidates,
      why: "the first that works here, tried on the data root itself",
    },
  ];
}

function notes({ runtimeDir, priorStorage, settings }: DockerFacts, { rootShared }: HostFacts): Profile["notes"] {
  const result: { level: "info" | "warn"; text: string }[] = [];
  if (runtimeDir.origin !== "environment") {
    const why = runtimeDir.origin === "found" ? "it is yours and private" : "there is no /run/user directory of yours";
    result.push({ level: "info", text: `XDG_RUNTIME_DIR was not set; using ${runtimeDir.path}: ${why}` });
  }
  if (priorStorage === "vfs") {
    const text = `${settings.dataRoot} holds images of storage driver vfs, so dockerd is to stay with it: a full copy for each layer`;
    result.push({ level: "warn", text: `${text}. To change: remove it (rlkit run -- rm -rf ${settings.dataRoot})` });
  }
  if (!rootShared) {
    result.push({
      level: "info",
      text: "/ is not shared on this host: what it mounts later is not seen inside (mount --make-rshared /)",
    });
  }
  return result;
}
