import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { User } from "./user.ts";

const SYSTEM_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * The directory of the Node that rlkit is to run on: the machine's, not the newer one that runs the tests (npm puts that one's
 * directory first on PATH).
 */
export function nodeDirectory(): string {
  const entries = (process.env.PATH ?? "").split(delimiter).filter((entry) => !entry.includes("node_modules"));
  const found = entries.find((entry) => isExecutable(join(entry, "node")));
  if (found === undefined) throw new Error(`there is no node on PATH (${entries.join(delimiter)})`);
  return found;
}

/** What a login of the user has in its environment, and nothing of root's. */
export function loginEnvironment(user: User, directory = nodeDirectory()): Record<string, string> {
  return {
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    TERM: "xterm",
    PATH: (SYSTEM_PATH.includes(directory) ? SYSTEM_PATH : [directory, ...SYSTEM_PATH]).join(delimiter),
    XDG_RUNTIME_DIR: user.runtimeDir,
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // whatever the reason, it is not the node that we look for
  }
}
