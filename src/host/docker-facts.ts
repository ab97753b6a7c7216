import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.ts";
import { log } from "../log.ts";
import { capture } from "../native/capture.ts";
import type { RunOptions } from "../options/run-options.ts";
import { configFile, type DockerdSettings, dockerdSettings } from "../profiles/dockerd-args.ts";
import { type StorageDriver, storageDrivers } from "../profiles/storage.ts";
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
  /** dockerd's major version, asked only where it matters for the storage driver; undefined if it doesn't say. */
  major: number | undefined;
}

function readConfig(path: string): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof config === "object" && config !== null ? { ...config } : {};
  } catch (error) {
    // dockerd itself reports a daemon.json that it can't read, better than rlkit could.
    if (!isErrno(error, "ENOENT")) log.warn(`cannot read ${path}: ${(error as Error).message}`);
    return {};
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

function majorVersion(program: string, path: string): number | undefined {
  const file = program.includes("/") ? program : findProgram(program, path);
  if (file === undefined) return undefined;
  const major = /version (\d+)/.exec(capture(file, ["--version"], [`PATH=${path}`]).output)?.[1];
  return major === undefined ? undefined : Number(major);
}

/** Reads the user's session and dockerd's configuration. */
export function gatherDockerFacts(options: RunOptions, uid: number, passwdHome: string | undefined): DockerFacts {
  const { env, command } = options;
  const [program, ...args] = command;
  const path = `${env.PATH ?? ""}:/usr/sbin:/sbin`;
  const home = findHome(env, passwdHome, uid);
  const runtimeDir = findRuntimeDir(env, uid, home);
  const settings = dockerdSettings(args, readConfig(configFile(args, env, home)), env, home, runtimeDir.path);
  const prior = settings.storageDriver ? undefined : priorStorage(settings.dataRoot);
  return {
    home,
    runtimeDir,
    settings,
    priorStorage: prior,
    fuseOverlayfs: findProgram("fuse-overlayfs", path) !== undefined,
    major: settings.storageDriver || prior !== undefined ? undefined : majorVersion(program, path),
  };
}
