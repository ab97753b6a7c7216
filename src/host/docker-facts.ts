import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.ts";
import { log } from "../log.ts";
import { capture } from "../native/capture.ts";
import type { RunOptions } from "../options/run-options.ts";
import { configFile, type DockerdSettings, dockerdSettings } from "../profiles/dockerd-args.ts";
import { hasSwarm } from "../profiles/live-restore.ts";
import { type StorageDriver, storageDrivers } from "../profiles/storage.ts";
import { type CgroupFacts, gatherCgroupFacts } from "./cgroup-facts.ts";
import { findProgram } from "./programs.ts";
import { findHome, findRuntimeDir, type RuntimeDir } from "./session.ts";

/** What the docker profile needs to know. */
export interface DockerFacts {
  home: string;
  runtimeDir: RuntimeDir;
  settings: DockerdSettings;
  /** The storage driver whose data is in the data root already: dockerd stays with it. */
  priorStorage: StorageDriver | undefined;
  fuseOverlayfs: boolean;
  /** SELinux is in force on this host (selinuxenabled(8)); inside, it always looks as if it were not. */
  selinux: boolean;
  /** The user's daemon.json: where it is, or would be, and what it says; no settings where it can't be read. */
  configFile: string;
  config: Readonly<Record<string, unknown>> | undefined;
  cgroups: CgroupFacts;
  /** Swarm mode is on. */
  swarm: boolean;
  /** dockerd's version, asked only where it matters; undefined if it doesn't say. */
  version: { major: number; minor: number } | undefined;
}

function readConfig(path: string): Record<string, unknown> | undefined {
  try {
    const config: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof config === "object" && config !== null ? { ...config } : undefined;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return {};
    // dockerd itself reports a daemon.json that it can't read, better than rlkit could.
    log.warn(`cannot read ${path}: ${(error as Error).message}`);
    return undefined;
  }
}

/** The driver with data in the data root; undefined for a new data root. */
function priorStorage(dataRoot: string): StorageDriver | undefined {
  const hasData = (driver: string): boolean => {
    try {
      // dockerd makes overlay2/l for every data root that it ever tried overlay2 on.
      return readdirSync(join(dataRoot, driver)).some((entry) => entry !== "l");
    } catch {
      return false; // not there, or not readable by this user: not a reason to choose it
    }
  };
  return storageDrivers.find((driver) => hasData(driver === "vfs" ? "vfs/dir" : driver));
}

function versionOf(program: string, path: string): DockerFacts["version"] {
  const file = findProgram(program, path);
  if (file === undefined) return undefined;
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(capture(file, ["--version"], [`PATH=${path}`]).output) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

/** Reads the user's session and dockerd's configuration. */
export function gatherDockerFacts(options: RunOptions, uid: number, passwdHome: string | undefined): DockerFacts {
  const { env, command } = options;
  const [program, ...args] = command;
  const path = `${env.PATH ?? ""}:/usr/sbin:/sbin`;
  const home = findHome(env, passwdHome, uid);
  const runtimeDir = findRuntimeDir(env, uid, home);
  const file = configFile(args, env, home);
  const config = readConfig(file);
  const settings = dockerdSettings(args, config ?? {}, env, home, runtimeDir.path, options.instance);
  const prior = settings.storageDriver ? undefined : priorStorage(settings.dataRoot);
  const isAsked = options.detachNetns || !(settings.storageDriver || prior !== undefined);
  return {
    home,
    runtimeDir,
    settings,
    configFile: file,
    config,
    cgroups: gatherCgroupFacts(uid, runtimeDir.path),
    swarm: hasSwarm(settings.dataRoot),
    priorStorage: prior,
    selinux: existsSync("/sys/fs/selinux/enforce"),
    fuseOverlayfs: findProgram("fuse-overlayfs", path) !== undefined,
    version: isAsked ? versionOf(program, path) : undefined,
  };
}
