import { lstatSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import type { IdMapFacts } from "../idmap/check.ts";
import { readIfThere } from "../idmap/source.ts";
import { directoriesWithLeavingLinks } from "../native/calls.ts";
import type { NetworkFacts } from "../network/choose.ts";
import type { RunOptions } from "../options/run-options.ts";
import { type DockerFacts, gatherDockerFacts } from "./docker-facts.ts";
import { currentUser, gatherIdMapFacts, hostIo } from "./idmap-facts.ts";
import { startNetworkFacts } from "./network-facts.ts";
import { findHome, findRuntimeDir, type RuntimeDir } from "./session.ts";

/** A directory to copy up, as it is on this host. */
export interface CopyUpFacts {
  /** Without symbolic links. */
  path: string;
  /** Directories in it that a link can't stand for: they hold relative links out of them, or whoever reads them follows none. */
  bound: readonly string[];
}

/** What this host is and offers, for one run: everything the planner knows besides the options. */
export interface HostFacts {
  ids: IdMapFacts;
  network: NetworkFacts;
  copyUp: readonly CopyUpFacts[];
  hostname: string;
  hostsFile: string;
  /** Whether the whole of /sys/fs/cgroup is cgroup version 2. */
  cgroup2: boolean;
  /** Whether mounts of the host can reach a slave of / at all (mount_namespaces(7)). */
  rootShared: boolean;
  /** Where temporary directories lie: XDG_RUNTIME_DIR, or else TMPDIR or /tmp. */
  temporaryDir: string;
  /** Tells this run from others in names that must not clash. */
  runId: string;
  /** Present for the docker profile. */
  docker: DockerFacts | undefined;
  /** Present for the containerd profile. */
  session?: { home: string; runtimeDir: RuntimeDir } | undefined;
}

/** Directories in /etc and /run where dockerd reads device specifications, and follows no link (CDI). */
const unlinkable = ["cdi"];

function copyUpFacts(directory: string, { profile }: RunOptions): CopyUpFacts {
  try {
    const path = realpathSync(directory);
    const cdi = unlinkable.filter((name) => profile === "docker" && isDirectory(join(path, name)));
    return { path, bound: [...new Set([...directoriesWithLeavingLinks(path), ...cdi])] };
  } catch (cause) {
    if (!isErrno(cause, "ENOENT") && !isErrno(cause, "ENOTDIR")) throw cause;
    throw new RlkitError("USAGE", `--copy-up=${directory}: there is no such directory`, { cause });
  }
}

const isDirectory = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Reads what this host offers; a few small files and, for a network, the --help of its helpers. Changes nothing. */
export function gatherFacts(options: RunOptions): HostFacts {
  const network = startNetworkFacts(options.network, options.env.PATH ?? "");
  let others: Omit<HostFacts, "network">;
  try {
    others = gatherOthers(options);
  } catch (error) {
    network(); // the helpers that were asked are not left behind
    throw error;
  }
  return { ...others, network: network() };
}

function gatherSession(env: RunOptions["env"], { uid, home: passwdHome }: ReturnType<typeof currentUser>) {
  const home = findHome(env, passwdHome, uid);
  return { home, runtimeDir: findRuntimeDir(env, uid, home) };
}

function gatherOthers(options: RunOptions): Omit<HostFacts, "network"> {
  const { env } = options;
  const io = hostIo(env);
  const user = currentUser();
  const ids = gatherIdMapFacts(options.subidSource, io, user);
  const mounts = io.readFile("/proc/self/mountinfo").split("\n");
  const seen = new Set<string>();
  return {
    ids,
    copyUp: options.copyUp
      .map((each) => copyUpFacts(each, options))
      .filter(({ path }) => !seen.has(path) && seen.add(path)),
    hostname: hostname(),
    hostsFile: readIfThere(io, "/etc/hosts") ?? "",
    cgroup2: mounts.some((line) => / \/sys\/fs\/cgroup .* - cgroup2 /.test(line)),
    rootShared: mounts.some((line) => / \/ \/ .*shared:/.test(line)),
    temporaryDir: env.XDG_RUNTIME_DIR || env.TMPDIR || "/tmp",
    runId: `${process.pid}${Date.now() % 1_000_000}`,
    docker: options.profile === "docker" ? gatherDockerFacts(options, user.uid, user.home) : undefined,
    session: options.profile === "containerd" ? gatherSession(env, user) : undefined,
  };
}
