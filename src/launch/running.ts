import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import type { Environment } from "../options/run-options.ts";
import { Clone } from "../plan/operations.ts";
import { readProcess } from "../supervisor/processes.ts";

/** A running instance, seen from outside. */
export interface Running {
  stateDir: string;
  /** The pid of its `rlkit-ns init`. */
  pid: number;
  /** The environment that its target was given. */
  env: Environment;
  /** CLONE_NEW* flags of the namespaces that differ from this process's. */
  namespaces: number;
}

const START_ONE = "start one with: rlkit run -- COMMAND; or name its state directory with --state-dir";

/** The namespaces of `pid` that are not this process's own. */
function foreignNamespaces(pid: number): number {
  const files = {
    mnt: "mount",
    cgroup: "cgroup",
    uts: "uts",
    ipc: "ipc",
    user: "user",
    pid: "pid",
    net: "net",
  } as const;
  let flags = 0;
  for (const [file, name] of Object.entries(files) as [string, keyof typeof Clone][]) {
    if (readlinkSync(`/proc/${pid}/ns/${file}`) !== readlinkSync(`/proc/self/ns/${file}`)) flags |= Clone[name];
  }
  return flags;
}

/**
 * The environment of an `rlkit-ns init`. Where this user's uid is not in its maps it belongs to somebody else, and this can't be read; the
 * supervisor above it is still this user's, and holds the lock of the state directory.
 */
function environment(pid: number): Environment {
  try {
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    return Object.fromEntries(entries.map((entry) => [entry.split("=", 1)[0], entry.slice(entry.indexOf("=") + 1)]));
  } catch (error) {
    if (!isErrno(error, "EACCES")) throw error;
    const stateDir = lockedBy(readProcess(pid)?.parent ?? 0);
    if (stateDir === undefined) throw error;
    const instance = /^(?:rlkit|dockerd-rootless)-(.*\D.*)$/.exec(basename(stateDir))?.[1];
    return { ROOTLESSKIT_STATE_DIR: stateDir, ...(instance !== undefined && { RLKIT_INSTANCE: instance }) };
  }
}

/** The directory whose file `lock` a process has open. */
function lockedBy(pid: number): string | undefined {
  const fds = `/proc/${pid}/fd`;
  const paths = readdirSync(fds).map((fd) => {
    try {
      return readlinkSync(join(fds, fd));
    } catch {
      return ""; // closed meanwhile
    }
  });
  const lock = paths.find((path) => path.startsWith("/") && basename(path) === "lock");
  return lock === undefined ? undefined : dirname(lock);
}

function inspect(stateDir: string): Running {
  try {
    const pid = Number(readFileSync(join(stateDir, "child_pid"), "utf8"));
    const env = environment(pid);
    // A killed run leaves its child_pid, and the number may be somebody else's by now.
    if (env.ROOTLESSKIT_STATE_DIR !== stateDir) throw new Error(`pid ${pid} is another program by now`);
    return { stateDir, pid, env, namespaces: foreignNamespaces(pid) };
  } catch (cause) {
    throw new RlkitError("INSTANCE", `nothing runs with the state directory ${stateDir}`, { hint: START_ONE, cause });
  }
}

/** The state directories of all that this user has running under rlkit: what each `rlkit-ns init` was told. */
function stateDirs(): string[] {
  const found = new Set<string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("rlkit-ns\0init\0")) continue;
      const dir = environment(Number(pid)).ROOTLESSKIT_STATE_DIR;
      if (dir) found.add(dir);
    } catch {
      // Another user's, or it has just ended.
    }
  }
  return [...found].sort();
}

/** Which instance is meant. */
export interface Wanted {
  stateDir?: string | undefined;
  /** Looked at without a state directory. */
  instance?: string | undefined;
}

/**
 * Finds an instance: by its state directory, by its name, or the only one of this user that runs. Without a name, one that has none is
 * preferred.
 */
export function findRunning({ stateDir, instance }: Wanted): Running {
  if (stateDir !== undefined) return inspect(stateDir);
  const all = stateDirs().flatMap((dir) => {
    try {
      return [inspect(dir)];
    } catch {
      return []; // not running: one of the others may be
    }
  });
  const same = all.filter(({ env }) => env.RLKIT_INSTANCE === instance);
  const found = instance === undefined && same.length === 0 ? all : same;
  const [only, ...others] = found;
  if (only === undefined) {
    const text =
      instance === undefined ? "nothing of this user's is running under rlkit" : `no instance ${instance} is running`;
    throw new RlkitError("INSTANCE", text, { hint: START_ONE });
  }
  if (others.length === 0) return only;
  const name = ({ stateDir: path, env }: Running): string =>
    env.RLKIT_INSTANCE === undefined ? `--state-dir=${path}` : `--instance=${env.RLKIT_INSTANCE}`;
  throw new RlkitError("INSTANCE", `${found.length} instances are running`, {
    hint: `name one: ${found.map(name).join(", ")}`,
  });
}
