import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Environment } from "../options/run-options.ts";
import { Clone } from "../plan/operations.ts";

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

/** The state directories of all that this user has running under rlkit: what each `rlkit-ns init` was told. */
function stateDirs(): string[] {
  const found = new Set<string>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("rlkit-ns\0init\0")) continue;
      const dir = /(?:^|\0)ROOTLESSKIT_STATE_DIR=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
      if (dir) found.add(dir);
    } catch {
      // Another user's, or it has just ended.
    }
  }
  return [...found].sort();
}

/** Finds the instance to join: by its state directory, or the only one of this user that runs. */
export function findRunning(stateDir: string | undefined): Running {
  if (stateDir !== undefined) return inspect(stateDir);
  const found = stateDirs().flatMap((dir) => {
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
