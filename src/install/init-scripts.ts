import { shellWord } from "../idmap/verdict.ts";
import { type Service, serviceCommand } from "./unit.ts";

/** Whom a service runs as, for an init that starts it as root. */
export interface ServiceUser {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** A file of a service directory. */
interface ServiceFile {
  path: string;
  mode: number;
  content: string;
}

const NOTE = "# Written by rlkit install. rlkit uninstall removes it, unless you change it.";

const command = (service: Service, options: readonly string[] = []): string =>
  serviceCommand(service, options).map(shellWord).join(" ");

const exports = (env: Readonly<Record<string, string>>): string =>
  Object.entries(env)
    .map(([name, value]) => `export ${name}=${shellWord(value)}\n`)
    .join("");

/** What root does before it becomes the user: the runtime directory that no login has made. */
const prepare = ({ uid, gid }: ServiceUser): string =>
  `mkdir -p /run/user/${uid} && chown ${uid}:${gid} /run/user/${uid} && chmod 0700 /run/user/${uid}\n`;

const environment = (service: Service, user: ServiceUser | undefined): Record<string, string> =>
  user === undefined
    ? service.env
    : { ...service.env, HOME: user.home, USER: user.name, XDG_RUNTIME_DIR: `/run/user/${user.uid}` };

/**
 * OpenRC: for a user's own services (OpenRC 0.60 and later), or with `user` one of the system's that becomes the user.
 * supervise-daemon starts it again when it fails, and appends what it writes to `log`. The script itself needs OpenRC's own PATH, so what
 * the service is to have is given to supervise-daemon(8).
 */
export function openrcScript(service: Service, log: string, user?: ServiceUser): string {
  const [program = "", ...args] = serviceCommand(service);
  const env = Object.entries(environment(service, user)).map(
    ([name, value]) => `--env ${shellWord(`${name}=${value}`)}`,
  );
  const [as, prepares] = user === undefined ? ["", ""] : becoming(user, log);
  return `#!/sbin/openrc-run
${NOTE}
description="Docker (rootless, run by rlkit)"
supervisor=supervise-daemon
supervise_daemon_args=${shellWord(env.join(" "))}
command=${shellWord(program)}
command_args=${shellWord(args.map(shellWord).join(" "))}
${as}output_log=${shellWord(log)}
error_log=${shellWord(log)}
respawn_delay=2
respawn_max=3
respawn_period=60
retry=TERM/60/KILL/5
extra_started_commands=reload

depend() {
	after net dns logger
}
${prepares}
reload() {
	supervise-daemon "$RC_SVCNAME" --signal HUP
}
`;
}

/** The variable that names the user, and what root makes for it before. */
function becoming({ name, uid, gid }: ServiceUser, log: string): [as: string, prepares: string] {
  const owner = `--owner ${uid}:${gid}`;
  return [
    `command_user=${shellWord(`${name}:${gid}`)}\n`,
    `
start_pre() {
	checkpath --directory --mode 0700 ${owner} /run/user/${uid}
	checkpath --file --mode 0600 ${owner} ${shellWord(log)}
}
`,
  ];
}

/** runit: a service directory; \`sv start\` waits until dockerd is ready. */
export function runitFiles(directory: string, service: Service, user?: ServiceUser): ServiceFile[] {
  const become = user === undefined ? "" : `chpst -u ${shellWord(user.name)} `;
  const env = exports(environment(service, user));
  const wait = `${become}${shellWord(service.rlkit)} wait --timeout=1s`;
  const run = `#!/bin/sh\n${NOTE}\nexec 2>&1\n${user === undefined ? "" : prepare(user)}${env}exec ${become}${command(service)}\n`;
  return [
    { path: `${directory}/run`, mode: 0o755, content: run },
    { path: `${directory}/check`, mode: 0o755, content: `#!/bin/sh\n${NOTE}\n${env}exec ${wait} 2>/dev/null\n` },
  ];
}

/** s6: a service directory; rlkit tells s6 itself when dockerd is ready. */
export function s6Files(directory: string, service: Service, user?: ServiceUser): ServiceFile[] {
  const become = user === undefined ? "" : `s6-setuidgid ${shellWord(user.name)} `;
  const env = exports(environment(service, user));
  const start = `exec ${become}${command(service, ["--ready-fd=3"])}\n`;
  const run = `#!/bin/sh\n${NOTE}\nexec 2>&1\n${user === undefined ? "" : prepare(user)}${env}${start}`;
  return [
    { path: `${directory}/run`, mode: 0o755, content: run },
    { path: `${directory}/notification-fd`, mode: 0o644, content: "3\n" },
    { path: `${directory}/timeout-kill`, mode: 0o644, content: "60000\n" },
  ];
}
