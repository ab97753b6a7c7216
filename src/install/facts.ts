import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { RlkitError } from "../errors.ts";
import { currentUser, hostIo } from "../host/idmap-facts.ts";
import type { Machine } from "../host/machine.ts";
import { ownPrograms } from "../host/own-programs.ts";
import { findProgram } from "../host/programs.ts";
import { findHome, findRuntimeDir } from "../host/session.ts";
import { readIfThere, subidFile } from "../idmap/source.ts";
import { binPath } from "../native/paths.ts";
import type { ServiceUser } from "./init-scripts.ts";

/** What starts services. */
export type Init = "systemd" | "openrc" | "runit" | "s6" | "none";

/** What the plan needs to know of the machine and the user that the daemon is for. */
export interface InstallFacts {
  user: ServiceUser;
  runtimeDir: string;
  /** The user has no session, so this directory stands in for one. */
  isRuntimeDirPrivate: boolean;
  /** rlkit, and the names under which it stands in for others. */
  own: readonly { name: string; path: string }[];
  /** Node, if the service would not find it by itself. */
  node: string | undefined;
  /** The directories of programs that dockerd and rlkit need, in the order of PATH. */
  programDirs: readonly string[];
  /** The docker client that is on PATH. */
  docker: string | undefined;
  /** The docker client's configuration, and the context that it uses. */
  dockerConfig: string;
  currentContext: string;
  init: Init;
  /** The user's services go on without a login. */
  lingers: boolean;
  /** /etc/subuid and /etc/subgid, undefined for one that is not there. */
  subids: { uid: string | undefined; gid: string | undefined };
}

const STANDARD = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
const NEEDED = [
  "newuidmap",
  "slirp4netns",
  "pasta",
  "iptables",
  "nft",
  "fuse-overlayfs",
  "docker",
  "dockerd",
  "containerd",
  "runc",
];

/** Looks at the machine, as the user that the daemon is for. Throws when there is no such user. */
export function gatherFacts(machine: Machine, init: Init, target?: ServiceUser): InstallFacts {
  const { env } = machine;
  const io = hostIo(defined(env));
  const user = target ?? ownUser(defined(env));
  // Root's own runtime directory is not the user's; his comes with lingering.
  const runtimeDir =
    target === undefined
      ? findRuntimeDir(defined(env), user.uid, user.home)
      : ({ path: `/run/user/${user.uid}`, origin: "found" } as const);
  const dockerConfig = join((target === undefined && env.DOCKER_CONFIG) || join(user.home, ".docker"), "config.json");
  return {
    user,
    runtimeDir: runtimeDir.path,
    isRuntimeDirPrivate: runtimeDir.origin === "private",
    own: ownPrograms(),
    node: STANDARD.includes(dirname(process.execPath)) ? undefined : process.execPath,
    programDirs: programDirs(env.PATH ?? ""),
    docker: findProgram("docker", env.PATH ?? ""),
    dockerConfig,
    currentContext: currentContext(machine, dockerConfig),
    init,
    lingers: user.name !== "" && existsSync(join("/var/lib/systemd/linger", user.name)),
    subids: { uid: readIfThere(io, subidFile("uid")), gid: readIfThere(io, subidFile("gid")) },
  };
}

const defined = (env: Machine["env"]): Record<string, string> =>
  Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

function ownUser(env: Record<string, string>): ServiceUser {
  const { name = "", uid, gid, home } = currentUser();
  return { name, uid, gid, home: findHome(env, home, uid) };
}

/** The user of that name; throws a USAGE error if there is none. */
export function namedUser({ run }: Machine, name: string): ServiceUser {
  const [found, , uid, gid, , home] = run(["getent", "passwd", name]).output.split("\n")[0]?.split(":") ?? [];
  if (!found || !uid || !gid || !home) {
    throw new RlkitError("USAGE", `--user=${name}: there is no such user`, {
      hint: `look with: getent passwd ${name}`,
    });
  }
  if (Number(uid) === 0) throw new RlkitError("USAGE", `--user=${name}: root needs no rootless daemon`);
  if (run(["runuser", "-u", found, "--", "test", "-x", rlkitPath()]).status !== 0) {
    throw new RlkitError("INSTALL", `${found} can't run ${rlkitPath()}: a directory above it is closed to others`, {
      hint: "put rlkit where everybody can read it, under /opt or /usr/local, and run it from there",
    });
  }
  return { name: found, uid: Number(uid), gid: Number(gid), home };
}

/** Where the programs lie that a service manager's own PATH might not have. */
function programDirs(path: string): string[] {
  const search = [...path.split(":"), ...STANDARD].filter((dir) => dir.startsWith("/")).join(":");
  const found = NEEDED.flatMap((name) => findProgram(name, search) ?? []).map((program) => dirname(program));
  return [...new Set(found)].filter((dir) => !STANDARD.includes(dir));
}

/** The PATH of the service. */
export const servicePath = (first: string, { programDirs: dirs }: InstallFacts): string =>
  [...new Set([first, ...dirs, ...STANDARD])].join(":");

function currentContext({ read }: Machine, config: string): string {
  try {
    const { currentContext: name } = JSON.parse(read(config) ?? "{}") as { currentContext?: unknown };
    return typeof name === "string" && name !== "" ? name : "default";
  } catch {
    return "default"; // the docker client itself reports a file that it can't read
  }
}

/** The init that runs this machine, as far as it can start a service for this user. Throws where systemd runs and has no session for him. */
export function findInit(machine: Machine, scope: "user" | "system"): Init {
  if (existsSync("/run/systemd/system")) {
    if (scope === "user") checkSession(machine);
    return "systemd";
  }
  if (existsSync("/run/openrc")) return "openrc";
  // Their directories are there with their packages, whether they run or not.
  const running = programsThatRun();
  if (running.has("runsvdir")) return "runit";
  if (running.has("s6-svscan")) return "s6";
  return "none";
}

/** Throws if the user's service manager can't be asked. */
export function checkSession({ run, user }: Machine): void {
  if (run(["systemctl", "--user", "show-environment"]).status === 0) return;
  throw new RlkitError(
    "RUNTIME_DIR",
    `systemd runs this machine, but ${user.name} has no session of it here (as after su or sudo)`,
    {
      hint: `log in as ${user.name} (ssh, machinectl shell ${user.name}@), or have an administrator run "sudo loginctl enable-linger ${user.name}" and set XDG_RUNTIME_DIR=/run/user/${user.uid}; or install without a service: --init=none`,
    },
  );
}

/** The names of all that runs, of whomever (proc_pid_comm(5)). */
function programsThatRun(): ReadonlySet<string> {
  const names = readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/comm`, "utf8").trim()] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
  return new Set(names);
}

/** rlkit's own path; it is what the service runs. */
export const rlkitPath = (): string => join(realpathSync(binPath()), "rlkit");
