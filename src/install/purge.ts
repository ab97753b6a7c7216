import { existsSync, lstatSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import { gatherDockerFacts } from "../host/docker-facts.ts";
import type { Machine } from "../host/machine.ts";
import { findRunning } from "../launch/running.ts";
import { resolveRunOptions } from "../options/run-options.ts";
import { dockerStateDir } from "../profiles/docker.ts";
import { removeIfEmpty } from "./disk.ts";
import { rlkitPath } from "./facts.ts";

/** What dockerd has written for this user. */
export interface DockerData {
  /** By its name, if it has one. */
  instance: string | undefined;
  dataRoot: string;
  /** What dockerd has written elsewhere: pids and sockets, and, before version 23, a key. */
  others: readonly string[];
  /** Directories that dockerd and rlkit have made for these, if nothing else is in them. */
  emptied: readonly string[];
  /** rlkit's state directory for dockerd. */
  stateDir: string;
}

/** Where an instance's data are: as dockerd's configuration says, or where they usually are. */
export function dockerData(
  instance: string | undefined,
  defaults: Parameters<typeof resolveRunOptions>[0]["values"],
  env: NodeJS.ProcessEnv,
  { uid, home }: { uid: number; home: string },
): DockerData {
  const values = { ...defaults, instance };
  const command = ["dockerd", "--storage-driver=vfs"];
  const options = resolveRunOptions({ values, command }, { ...env, RLKIT_INSTANCE: undefined }, "/");
  const { settings, runtimeDir, configFile } = gatherDockerFacts(options, uid, home);
  const stateDir = dockerStateDir(runtimeDir.path, instance);
  if (instance !== undefined) {
    const others = [join(runtimeDir.path, `docker-${instance}`)];
    return { instance, dataRoot: settings.dataRoot, others, emptied: [], stateDir };
  }
  return {
    instance,
    dataRoot: settings.dataRoot,
    others: [join(runtimeDir.path, "docker"), join(dirname(configFile), "key.json")],
    emptied: [join(home, ".docker", "run"), dirname(configFile)],
    stateDir,
  };
}

/** Whether a rootless dockerd of this user runs under rlkit. */
export function isRunning({ stateDir }: DockerData): boolean {
  try {
    findRunning({ stateDir });
    return true;
  } catch (error) {
    if (error instanceof RlkitError && error.code === "INSTANCE") return false;
    throw error;
  }
}

/** What dockerd makes in every data root. */
const MARKS = ["containers", "image", "engine-id", "buildkit", "volumes", "overlay2", "vfs", "fuse-overlayfs"];

/** Throws if dockerd runs. */
export function checkUnused(data: DockerData): void {
  if (!isRunning(data)) return;
  throw new RlkitError("INSTALL", `${data.dataRoot} is in use: dockerd runs`, {
    hint: "stop it, and run the same again: rlkit stop; rlkit uninstall --purge",
  });
}

/**
 * Removes dockerd's data: as root of a user namespace, since most of them belong to the user's sub-ids. Throws where that is not sure
 * to be dockerd's, where it is in use, and, with a list, where something remains.
 */
export function purge(data: DockerData, machine: Machine): void {
  const { dataRoot, others, emptied } = data;
  checkUnused(data);
  let said = "";
  const there = [dataRoot, ...others].filter((path) => existsSync(path));
  if (there.length > 0) {
    checkIsData(dataRoot);
    const options = ["--net=none", "--restart=no", "--log-level=error"];
    const command = ["rm", "-rf", "--one-file-system", "--", ...there];
    const { status, output } = machine.run([rlkitPath(), "run", ...options, "--", ...command]);
    if (status !== 0) said = output.trim().split("\n").at(-1) ?? "";
  }
  for (const directory of emptied) if (existsSync(directory)) removeIfEmpty(directory);
  const left = [dataRoot, ...others].flatMap(remaining);
  if (left.length === 0) return;
  throw new RlkitError("INSTALL", `of ${dataRoot} there remain: ${left.join(", ")}${said && ` (${said})`}`, {
    hint: "see what holds them (a mount, files of ids that are no longer delegated), and run the same again",
  });
}

function checkIsData(dataRoot: string): void {
  const names = existsSync(dataRoot) ? readNames(dataRoot) : [];
  if (names === undefined || names.length === 0 || names.some((name) => MARKS.includes(name))) return;
  throw new RlkitError("INSTALL", `${dataRoot} has nothing of dockerd's in it, so it is not removed`, {
    hint: "see what it is; daemon.json may name a data-root that is no longer right",
  });
}

/** undefined for a directory of one of the sub-ids, which only its owner may read, and for what is none. */
function readNames(directory: string): string[] | undefined {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, "EACCES") || isErrno(error, "ENOTDIR")) return undefined;
    throw error;
  }
}

/** The instances that have data beside those of the one without a name, as far as they are dockerd's: whoever has run them. */
export function instancesWithData({ dataRoot }: DockerData): string[] {
  const above = dirname(dataRoot);
  const names = existsSync(above) ? (readNames(above) ?? []) : [];
  return names.flatMap((name) => {
    const instance = /^docker-(.+)$/.exec(name)?.[1];
    const found = instance === undefined ? [] : (readNames(join(above, name)) ?? []);
    return instance !== undefined && found.some((entry) => MARKS.includes(entry)) ? [instance] : [];
  });
}

const SHOWN = 10;

/** What is in a directory, the first of it; the directory itself if it is empty, nothing if it is not there. */
export function remaining(directory: string): string[] {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (!found.isDirectory()) return [directory];
  const names = readNames(directory) ?? [];
  const shown = names.slice(0, SHOWN).map((name) => join(directory, name));
  return names.length === 0
    ? [directory]
    : [...shown, ...(names.length > SHOWN ? [`… and ${names.length - SHOWN} more`] : [])];
}
