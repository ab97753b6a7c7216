import { join } from "node:path";
import type { Machine } from "./machine.ts";
import {
  asRoot,
  asUser,
  type Finding,
  type Fix,
  failure,
  inWords,
  ok,
  type Requirement,
  skipped,
  warning,
} from "./requirement.ts";

const loginDirectory = ({ user }: Machine): string => `/run/user/${user.uid}`;

/** A directory of the user's that nobody else can enter. */
function isPrivate({ status, user }: Machine, path: string): boolean {
  const found = status(path);
  return found?.isDirectory === true && found.uid === user.uid && (found.mode & 0o077) === 0;
}

/** The runtime directory that a run would take; undefined for the one below the home directory. */
export function runtimeDirectory(machine: Machine): string | undefined {
  const given = machine.env.XDG_RUNTIME_DIR;
  if (given !== undefined && given !== "") return given;
  const login = loginDirectory(machine);
  return isPrivate(machine, login) ? login : undefined;
}

/** systemd is this machine's init (sd_booted(3)). */
export const hasSystemd = ({ status }: Machine): boolean => status("/run/systemd/system")?.isDirectory === true;

/** How a user comes to a session: su(1) and sudo(8) make none. */
function session(machine: Machine): Fix[] {
  const { name = "" } = machine.user;
  const why = `so that ${name} has a runtime directory and a systemd user manager without a login`;
  return [
    { ...asRoot(`loginctl enable-linger ${name}`), note: why },
    asUser(`export XDG_RUNTIME_DIR=${loginDirectory(machine)}`),
    inWords("user", `or else log in, instead of su or sudo: ssh ${name}@localhost; as root: machinectl shell ${name}@`),
  ];
}

function runtimeDir(machine: Machine): Finding {
  const { env, status, user, writable } = machine;
  const tried = "XDG_RUNTIME_DIR, its owner and mode";
  const login = loginDirectory(machine);
  const given = env.XDG_RUNTIME_DIR ?? "";
  const useLogin = asUser(`export XDG_RUNTIME_DIR=${login}`);
  if (given === "") {
    if (isPrivate(machine, login)) return ok(tried, `not set; rlkit takes ${login}`);
    if (!hasSystemd(machine)) return ok(tried, "not set, and no systemd: rlkit takes ~/.docker/run");
    const found = `XDG_RUNTIME_DIR is not set and there is no ${login}: a shell of su or sudo, which is no login session`;
    return failure(tried, found, ...session(machine));
  }
  // Where there is a better one, it is taken; without systemd nothing makes one.
  const instead = (): Fix[] => {
    if (isPrivate(machine, login)) return [useLogin];
    return hasSystemd(machine) ? session(machine) : [asUser("unset XDG_RUNTIME_DIR")];
  };
  const found = status(given);
  if (found === undefined || !found.isDirectory) {
    return failure(tried, `XDG_RUNTIME_DIR is ${given}, which is not a directory`, ...instead());
  }
  if (found.uid !== user.uid) {
    const text = `XDG_RUNTIME_DIR is ${given}, which belongs to uid ${found.uid}: su and sudo leave the other user's`;
    return failure(tried, text, ...instead());
  }
  if ((found.mode & 0o077) !== 0) {
    const mode = found.mode.toString(8).padStart(4, "0");
    const text = `XDG_RUNTIME_DIR is ${given}, which others can enter (mode ${mode})`;
    return failure(tried, text, asUser(`chmod 0700 ${given}`));
  }
  if (!writable(given)) {
    return failure(tried, `XDG_RUNTIME_DIR is ${given}, which can't be written to`, asUser(`chmod 0700 ${given}`));
  }
  return ok(tried, given);
}

/** The user's own systemd, for which XDG_RUNTIME_DIR is enough. */
function userManager(machine: Machine): Finding {
  const tried = "systemctl --user show-environment";
  if (!hasSystemd(machine))
    return skipped(tried, "this machine does not run systemd: start the daemon by rlkit run --wait -- dockerd");
  const directory = runtimeDirectory(machine) ?? loginDirectory(machine);
  const env = { XDG_RUNTIME_DIR: directory, DBUS_SESSION_BUS_ADDRESS: `unix:path=${directory}/bus` };
  const { status, output } = machine.run(["systemctl", "--user", "show-environment"], env);
  if (status === 0) return ok(tried, "the user's systemd answers");
  const said = output.trim().split("\n").at(-1) || `exit status ${status}`;
  if (status === 127) return failure(tried, "there is no systemctl on PATH", inWords("user", "add /usr/bin to PATH"));
  if (machine.status(join(directory, "systemd", "private")) === undefined) {
    return failure(
      tried,
      `no systemd runs for ${machine.user.name}: a shell of su or sudo is no login session (${said})`,
      ...session(machine),
    );
  }
  if (
    /bus/i.test(said) &&
    machine.status(join(directory, "bus")) === undefined &&
    machine.distribution.manager === "apt-get"
  ) {
    return failure(
      tried,
      `the user's systemd has no message bus (${said})`,
      asRoot("apt-get install -y dbus-user-session"),
    );
  }
  return failure(
    tried,
    `the user's systemd does not answer: ${said}`,
    asRoot(`systemctl restart user@${machine.user.uid}.service`),
  );
}

function linger(machine: Machine): Finding {
  const { name = "" } = machine.user;
  const tried = `/var/lib/systemd/linger/${name}`;
  if (!hasSystemd(machine)) return skipped(tried, "this machine does not run systemd");
  if (machine.status(tried) !== undefined) return ok(tried, "the daemon lives on after logout");
  const found = "without lingering the daemon ends at logout, and does not start with the machine";
  return warning(tried, found, asRoot(`loginctl enable-linger ${name}`));
}

/** The user's session and what systemd does for it. */
export const sessions: readonly Requirement[] = [
  { id: "runtime-dir", title: "XDG_RUNTIME_DIR", needs: ["user"], probe: runtimeDir },
  { id: "systemd-user", title: "systemd --user", needs: ["runtime-dir"], probe: userManager },
  { id: "linger", title: "lingering", needs: ["systemd-user"], probe: linger },
];
