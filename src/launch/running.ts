import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { currentUser } from "../host/idmap-facts.ts";
import type { Environment } from "../options/run-options.ts";
import { Clone } from "../plan/operations.ts";
import { dockerStateDir } from "../profiles/docker.ts";

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

function inspect(stateDir: string): Running {
  try {
    const pid = Number(readFileSync(join(stateDir, "child_pid"), "utf8"));
    const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    const env = Object.fromEntries(
      entries.map((entry) => [entry.split("=", 1)[0], entry.slice(entry.indexOf("=") + 1)]),
    );
    // A killed run leaves its child_pid, and the number may be somebody else's by now.
    if (env.ROOTLESSKIT_STATE_DIR !== stateDir) throw new Error(`pid ${pid} is another program by now`);
    return { stateDir, pid, env, namespaces: foreignNamespaces(pid) };
  } catch (cause) {
    throw new RlkitError("INSTANCE", `nothing runs with the state directory ${stateDir}`, { hint: START_ONE, cause });
  }
}

/** State directories of this user that may belong to something running. */
function candidates(env: Environment): string[] {
  const base = env.XDG_RUNTIME_DIR || env.TMPDIR || "/tmp";
  const { uid, home = "/" } = currentUser();
  // Where findRuntimeDir puts dockerd's.
  const standIns = [`/run/user/${uid}`, join(env.HOME || home, ".docker", "run")];
  const runtimeDirs = env.XDG_RUNTIME_DIR ? [env.XDG_RUNTIME_DIR] : standIns;
  const own = readdirSync(base).filter((name) => /^rlkit-\d+$/.test(name));
  return [...runtimeDirs.map(dockerStateDir), ...own.map((name) => join(base, name))];
}

/** Finds the instance to join: by its state directory, or the only one of this user that runs. */
export function findRunning(stateDir: string | undefined, env: Environment): Running {
  if (stateDir !== undefined) return inspect(stateDir);
  const found = candidates(env).flatMap((dir) => {
    try {
      return [inspect(dir)];
    } catch {
      return []; // not running: one of the others may be
    }
  });
  const [only, ...others] = found;
  if (only === undefined)
    throw new RlkitError("INSTANCE", "nothing of this user's is running under rlkit", { hint: START_ONE });
  if (others.length === 0) return only;
  throw new RlkitError("INSTANCE", `${found.length} instances are running`, {
    hint: `name one with --state-dir: ${found.map((one) => one.stateDir).join(", ")}`,
  });
}
