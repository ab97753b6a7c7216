import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { loginEnvironment } from "../../test/helpers/environment.ts";
import type { User } from "../../test/helpers/user.ts";

/** One of the two launchers that are compared. */
export interface Subject {
  readonly name: "rlkit" | "rootlesskit";
  readonly variant: string;
  readonly env: Readonly<Record<string, string>>;
  /** The launcher's own processes, by the names of their executables. */
  readonly programs: readonly string[];
  /** What starts `target` with the options in RootlessKit's spelling, which rlkit shares. */
  command(options: readonly string[], target: readonly string[]): string[];
  /** What publishes ports of the instance with this state directory. */
  addPorts(stateDir: string, specs: readonly string[]): string[];
  /** What starts a whole dockerd. */
  dockerd(flags: readonly string[]): string[];
}

interface Setting {
  readonly user: User;
  readonly tree: string;
  /** The directory of the Node for rlkit. */
  readonly node: string;
}

/** rlkit, once more with NODE_EXTRA_CA_CERTS if this machine sets it (it slows Node's start), and RootlessKit. */
export function subjects({ user, tree, node }: Setting): Subject[] {
  const env = loginEnvironment(user, node);
  const certificates = process.env.NODE_EXTRA_CA_CERTS;
  const rlkit = (variant: string, added: Record<string, string>): Subject => ({
    name: "rlkit",
    variant,
    env: { ...env, ...added },
    programs: ["node", "rlkit-ns"],
    command: (options, target) => [join(tree, "bin", "rlkit"), "run", ...options, "--", ...target],
    addPorts: (stateDir, specs) => [join(tree, "bin", "rlkit"), "ports", "add", `--state-dir=${stateDir}`, ...specs],
    dockerd: (flags) => [join(tree, "bin", "rlkit"), "run", "--", "dockerd", ...flags],
  });
  return [
    {
      name: "rootlesskit",
      variant: "",
      env,
      programs: ["rootlesskit"],
      command: (options, target) => ["rootlesskit", ...options, ...target],
      addPorts: (stateDir, specs) => ["rootlessctl", `--socket=${join(stateDir, "api.sock")}`, "add-ports", ...specs],
      dockerd: (flags) => ["/usr/share/docker.io/contrib/dockerd-rootless.sh", ...flags],
    },
    rlkit("", {}),
    ...(certificates ? [rlkit("NODE_EXTRA_CA_CERTS set", { NODE_EXTRA_CA_CERTS: certificates })] : []),
  ];
}

export const label = ({ name, variant }: Subject): string => (variant === "" ? name : `${name} (${variant})`);

/** Starts a command as the user, with nothing in between that would be measured too. */
export function start(user: User, env: Subject["env"], command: readonly string[]): ChildProcess {
  const [file = "", ...args] = command;
  return spawn(file, args, { cwd: user.home, env, uid: user.uid, gid: user.gid, stdio: "ignore" });
}

export function end(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(signal ?? String(code)));
  });
}
