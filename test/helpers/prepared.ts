import { join } from "node:path";
import { loginEnvironment } from "./environment.ts";
import { ROOT, type Running, start, tree } from "./run.ts";
import type { User } from "./user.ts";

interface Preparation {
  /** Shell script that root runs in a mount namespace of its own: what it mounts is seen by this run alone. */
  readonly script: string;
  /** Options of setpriv(1) besides those that make it the user. */
  readonly setpriv?: readonly string[];
  /** Words that come before the command that becomes the user: nsenter(1)'s. */
  readonly enter?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Starts rlkit as the user where root has changed something first. */
export function preparedRlkit(
  user: User,
  { script, setpriv = [], enter = [], env }: Preparation,
  args: readonly string[],
): Running {
  const become = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", ...setpriv];
  const shell = `set -e\n${script}\nexec "$@"`;
  const command = ["unshare", "--mount", "--propagation=private", "sh", "-c", shell, "sh"];
  return start(ROOT, [...command, ...enter, ...become, join(tree(), "bin", "rlkit"), ...args], {
    env: { ...loginEnvironment(user), ...env },
    cwd: user.home,
  });
}
