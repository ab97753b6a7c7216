import { fstatSync } from "node:fs";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { gatherCgroupFacts } from "../host/cgroup-facts.ts";
import { findProgram } from "../host/programs.ts";
import { exec } from "../native/calls.ts";
import { binPath } from "../native/paths.ts";
import { environmentList, openFilesLimit, type RunOptions, targetEnvironment } from "../options/run-options.ts";

const NO_SESSION =
  "log in by ssh or at a terminal, not by su; or, from root: machinectl shell USER@; loginctl enable-linger keeps the session";

/**
 * `rlkit run --scope`: goes on as this very command line in a group of the user's own, with its controllers (systemd-run(1)). Comes back
 * if it is in one already. Throws RlkitError where there is no systemd user session to make it.
 */
export function enterScope({ env, activation, supervision }: RunOptions): void {
  const runtimeDir = env.XDG_RUNTIME_DIR ?? "";
  const { delegated, userManager } = gatherCgroupFacts(process.getuid?.() ?? 0, runtimeDir);
  if (delegated) return;
  const path = findProgram("systemd-run", env.PATH ?? "");
  if (path === undefined || !userManager) {
    const why = path === undefined ? "systemd-run is not on PATH" : "there is no systemd user session";
    throw new RlkitError("USAGE", `--scope is not possible: ${why}`, { hint: NO_SESSION });
  }
  const last = Math.max(2, 2 + (activation?.count ?? 0), supervision.readyFd ?? 0);
  const argv = process.argv.slice(3); // without node, its script, the name that rlkit was called by
  const words = argv.toSpliced(
    argv.findIndex((word) => /^--scope(=true)?$/.test(word)),
    1,
  );
  exec({
    path,
    argv: [
      "systemd-run",
      "--user",
      "--scope",
      "--quiet",
      "--property=Delegate=yes",
      join(binPath(), "rlkit"),
      ...words,
    ],
    env: environmentList(targetEnvironment(process.env)),
    fds: Array.from({ length: last + 1 }, (_, fd) => (isOpen(fd) ? fd : -1)),
    openFiles: openFilesLimit(process.env),
  });
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
