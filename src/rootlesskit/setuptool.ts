import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Machine, thisMachine } from "../host/machine.ts";
import { findProgram } from "../host/programs.ts";
import { CONTEXT, contextArguments, dockerBeside } from "../install/docker-context.ts";
import { printed } from "../output.ts";
import type { Env } from "./script.ts";
import { requirements, rootScript } from "./setuptool-requirements.ts";

const SCRIPT = "dockerd-rootless.sh";
const UNIT = "docker.service";

const mark = (colour: number, word: string): string => `\u001b[${colour}m\u001b[97m[${word}]\u001b[49m\u001b[39m`;
const info = (text = ""): number => printed(`${mark(104, "INFO")} ${text}\n`);
const warning = (text: string): void => void writeSync(2, `${mark(101, "WARNING")} ${text}\n`);
const error = (text: string): void => void writeSync(2, `${mark(101, "ERROR")} ${text}\n`);

/** What was said on the way is all that there is to say. */
class Refused extends Error {}

function refuse(...lines: string[]): never {
  for (const line of lines) error(line);
  throw new Refused();
}

const USAGE = (name: string): string => `Usage: ${name} [OPTIONS] COMMAND

A setup tool for Rootless Docker (${SCRIPT}).

Documentation: https://docs.docker.com/go/rootless/

Options:
  -f, --force                Ignore rootful Docker (/var/run/docker.sock)
      --skip-iptables        Ignore missing iptables

Commands:
  check        Check prerequisites
  nsenter      Enter into RootlessKit namespaces (mostly for debugging)
  install      Install systemd unit (if systemd is available) and show how to manage the service
  uninstall    Uninstall systemd unit
`;

interface Options {
  force: boolean;
  skipIptables: boolean;
}

/** Everything that the checks have found out for the rest. */
interface Setting extends Options {
  name: string;
  machine: Machine;
  /** The directory of dockerd-rootless.sh, and of all that belongs to it. */
  bin: string;
  home: string;
  runtimeDir: string;
  /** It was made by this tool, as there is no session. */
  isRuntimeDirOurs: boolean;
  hasSystemd: boolean;
  flags: string;
}

/** `dockerd-rootless-setuptool.sh`, with its argv without the name; resolves to the exit status. */
export async function setuptool(name: string, argv: readonly string[], env: Env): Promise<number> {
  const options: Options = { force: false, skipIptables: false };
  const words: string[] = [];
  // As getopt(1) does: options anywhere, up to --.
  const end = argv.indexOf("--");
  for (const word of end < 0 ? argv : argv.slice(0, end)) {
    if (word === "-h" || word === "--help") return printed(USAGE(name));
    if (word === "-f" || word === "--force") options.force = true;
    else if (word === "--skip-iptables") options.skipIptables = true;
    else if (word.startsWith("-") && words[0] !== "nsenter") {
      writeSync(2, `${name}: unrecognized option '${word}'\n`);
      printed(USAGE(name));
      return 1;
    } else words.push(word);
  }
  if (end >= 0) words.push(...argv.slice(end + 1));
  try {
    return await run(name, words, options, thisMachine(env));
  } catch (failure) {
    if (failure instanceof Refused) return 1;
    throw failure;
  }
}

async function run(
  name: string,
  [command, ...rest]: readonly string[],
  options: Options,
  machine: Machine,
): Promise<number> {
  switch (command) {
    case undefined:
      return refuse(
        `No command was specified. Run with --help to see the usage. Maybe you want to run \`${name} install\`?`,
      );
    case "check":
      init(name, options, machine);
      return info("Requirements are satisfied");
    case "nsenter":
      return enter(rest, machine);
    case "install":
      return install(init(name, options, machine));
    case "uninstall":
      return uninstall(init(name, options, machine));
    default:
      return refuse(`Unknown command: ${command}. Run with --help to see the usage.`);
  }
}

function isWritable(path: string | undefined): boolean {
  try {
    accessSync(path ?? "", constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The checks. Throws when one fails, and has said why. */
function init(name: string, options: Options, machine: Machine): Setting {
  const { env, user } = machine;
  if (user.uid === 0) refuse("Refusing to install rootless Docker as the root user");
  const script = findProgram(SCRIPT, env.PATH ?? "");
  if (script === undefined) refuse(`${SCRIPT} needs to be present under $PATH`);
  const hasSystemd = machine.run(["systemctl", "--user", "show-environment"]).status === 0;
  const home = env.HOME ?? "";
  if (home === "" || !existsSync(home) || !statSync(home).isDirectory()) refuse("HOME needs to be set");
  if (!isWritable(home)) refuse("HOME needs to be writable");
  if (isWritable("/var/run/docker.sock") && !options.force) {
    refuse("Aborting because rootful Docker (/var/run/docker.sock) is running and accessible. Set --force to ignore.");
  }
  const isRuntimeDirOurs = !isWritable(env.XDG_RUNTIME_DIR);
  if (isRuntimeDirOurs && hasSystemd) refuse(...noSession(env.XDG_RUNTIME_DIR ?? ""));
  const runtimeDir = isRuntimeDirOurs ? join(home, ".docker", "run") : (env.XDG_RUNTIME_DIR ?? "");
  if (isRuntimeDirOurs) mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
  const flags = checkRequirements(machine, options, dirname(script));
  return {
    ...options,
    ...{ name, machine, bin: dirname(script), home, runtimeDir, isRuntimeDirOurs, hasSystemd, flags },
  };
}

const noSession = (runtimeDir: string): string[] => [
  `Aborting because systemd was detected but XDG_RUNTIME_DIR ("${runtimeDir}") is not set, does not exist, or is not writable`,
  "Hint: this could happen if you changed users with 'su' or 'sudo'. To work around this:",
  "- try again by first running with root privileges 'loginctl enable-linger <user>' where <user> is the unprivileged user and export XDG_RUNTIME_DIR to the value of RuntimePath as shown by 'loginctl show-user <user>'",
  "- or simply log back in as the desired unprivileged user (ssh works for remote machines, machinectl shell works for local machines)",
];

/** What dockerd-rootless.sh is to be given, if all that it needs is there. */
function checkRequirements(machine: Machine, { skipIptables }: Options, bin: string): string {
  const inside = [join(bin, "rootlesskit"), "--net=none", "iptables", "--wait", "-t", "nat", "-L", "-n"];
  const PATH = `${machine.env.PATH ?? ""}:/sbin:/usr/sbin`;
  const found = requirements(machine, skipIptables, () => machine.run(inside, { PATH }).status === 0);
  if (found.hopeless !== undefined) refuse(found.hopeless);
  if (found.instructions.length > 0) {
    error("Missing system requirements. Run the following commands to");
    error("install the requirements and run this tool again.");
    if (found.noIptables && !skipIptables)
      error("Alternatively iptables checks can be disabled with --skip-iptables .");
    printed(`${rootScript(found.instructions)}\n`);
    throw new Refused();
  }
  return found.noIptables && skipIptables ? "--iptables=false" : "";
}

/** Becomes nsenter(1) in the namespaces of the daemon. */
function enter(command: readonly string[], machine: Machine): number {
  const stateDir = join(machine.env.XDG_RUNTIME_DIR ?? "", "dockerd-rootless");
  let pid: string;
  try {
    pid = readFileSync(join(stateDir, "child_pid"), "utf8").trim();
  } catch {
    return refuse(`${join(stateDir, "child_pid")} is not there: no rootless dockerd runs`);
  }
  const network = existsSync(join(stateDir, "netns")) ? [] : ["-n"];
  const { spawnSync } = nodeChildProcess();
  const wd = `--wd=${process.cwd()}`;
  const args = ["--no-fork", wd, "--preserve-credentials", "-m", ...network, "-U", "-t", pid, "--", ...command];
  const { status, error: failure } = spawnSync("nsenter", args, { stdio: "inherit", env: machine.env });
  if (failure !== undefined) refuse(`cannot run nsenter: ${failure.message}`);
  return status ?? 1;
}

const nodeChildProcess = () => process.getBuiltinModule("node:child_process");

function install(setting: Setting): number {
  const { machine, bin, force, hasSystemd } = setting;
  const smoke = machine.run([join(bin, "rootlesskit"), "true"]);
  if (smoke.status !== 0) {
    writeSync(2, smoke.output);
    const said = "RootlessKit failed, see the error messages and https://rootlesscontaine.rs/getting-started/common/ .";
    if (!force) refuse(`${said} Set --force to ignore.`);
    warning(said);
  }
  if (hasSystemd) installUnit(setting);
  else {
    info(`systemd not detected, ${SCRIPT} needs to be started manually:`);
    printed(`\nPATH=${bin}:/sbin:/usr/sbin:$PATH ${SCRIPT} ${setting.flags}\n\n`);
  }
  useContext(setting);
  explain(setting);
  return 0;
}

const unitFile = ({ machine, home }: Setting): string =>
  join(machine.env.XDG_CONFIG_HOME || join(home, ".config"), "systemd", "user", UNIT);

function unitText({ bin, flags, machine }: Setting): string {
  return `[Unit]
Description=Docker Application Container Engine (Rootless)
Documentation=https://docs.docker.com/go/rootless/
Requires=dbus.socket

[Service]
Environment=PATH=${bin}:/sbin:/usr/sbin:${machine.env.PATH ?? ""}
ExecStart=${bin}/${SCRIPT} ${flags}
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutSec=0
RestartSec=2
Restart=always
StartLimitBurst=3
StartLimitInterval=60s
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
Delegate=yes
Type=notify
NotifyAccess=all
KillMode=mixed

[Install]
WantedBy=default.target
`;
}

function installUnit(setting: Setting): void {
  const { machine, bin, runtimeDir } = setting;
  const file = unitFile(setting);
  const systemctl = (...args: string[]) => machine.run(["systemctl", "--user", ...args]);
  if (existsSync(file)) warning(`File already exists, skipping: ${file}`);
  else {
    info(`Creating ${file}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, unitText(setting));
    systemctl("daemon-reload");
  }
  if (systemctl("--no-pager", "status", UNIT).status !== 0) {
    info(`starting systemd service ${UNIT}`);
    const started = systemctl("start", UNIT);
    if (started.status !== 0) notStarted(setting, started.output);
  }
  const status = systemctl("--no-pager", "--full", "status", UNIT);
  printed(status.output);
  if (status.status !== 0) notStarted(setting, "");
  printed(machine.run([dockerBeside(bin), "version"], { DOCKER_HOST: `unix://${runtimeDir}/docker.sock` }).output);
  writeSync(2, systemctl("enable", UNIT).output);
  info(`Installed ${UNIT} successfully.`);
  info(`To control ${UNIT}, run: \`systemctl --user (start|stop|restart) ${UNIT}\``);
  info(`To run ${UNIT} on system startup, run: \`sudo loginctl enable-linger ${machine.user.name}\``);
  printed("\n");
}

function notStarted({ name, machine, bin, home }: Setting, said: string): never {
  writeSync(2, said);
  const journal = machine.run(["journalctl", "-q", "-n", "20", "--user", "--unit", UNIT]).output;
  const lines = [
    `Failed to start ${UNIT}. Run \`journalctl -n 20 --no-pager --user --unit ${UNIT}\` to show the error log.`,
    `Before retrying installation, you might need to uninstall the current setup: \`${name} uninstall -f ; ${bin}/rootlesskit rm -rf ${home}/.local/share/docker\``,
  ];
  if (journal.includes("/run/xtables.lock: Permission denied")) {
    lines.push(
      "Failure likely related to https://github.com/moby/moby/issues/41230",
      "This may work as a workaround: `sudo dnf install -y policycoreutils-python-utils && sudo semanage permissive -a iptables_t`",
    );
  }
  return refuse(...lines);
}

const context = ({ machine, bin }: Setting, args: readonly string[]) => machine.run([dockerBeside(bin), ...args]);

const hasContext = (setting: Setting): boolean => context(setting, contextArguments.name(CONTEXT)).status === 0;

function useContext(setting: Setting): void {
  if (hasContext(setting)) info(`CLI context "${CONTEXT}" already exists`);
  else {
    info(`Creating CLI context "${CONTEXT}"`);
    context(setting, contextArguments.create(CONTEXT, `${setting.runtimeDir}/docker.sock`));
  }
  info(`Using CLI context "${CONTEXT}"`);
  context(setting, contextArguments.use(CONTEXT));
}

function explain({ bin, runtimeDir, isRuntimeDirOurs }: Setting): void {
  printed("\n");
  info("Make sure the following environment variable(s) are set (or add them to ~/.bashrc):");
  if (isRuntimeDirOurs) {
    printed("# WARNING: systemd not found. You have to remove XDG_RUNTIME_DIR manually on every logout.\n");
    printed(`export XDG_RUNTIME_DIR=${runtimeDir}\n`);
  }
  printed(`export PATH=${bin}:$PATH\n\n`);
  info("Some applications may require the following environment variable too:");
  printed(`export DOCKER_HOST=unix://${runtimeDir}/docker.sock\n\n`);
}

function uninstall(setting: Setting): number {
  const { machine, bin, home, hasSystemd } = setting;
  if (hasSystemd) {
    for (const verb of ["stop", "disable"]) writeSync(2, machine.run(["systemctl", "--user", verb, UNIT]).output);
    rmSync(unitFile(setting), { force: true });
    info(`Uninstalled ${UNIT}`);
  } else {
    info(`systemd not detected, ${SCRIPT} needs to be stopped manually:`);
  }
  if (hasContext(setting)) {
    context(setting, contextArguments.remove(CONTEXT));
    info(`Deleted CLI context "${CONTEXT}"`);
  }
  context(setting, contextArguments.use("default"));
  info('Configured CLI to use the "default" context.');
  info();
  info(
    "Make sure to unset or update the environment PATH, DOCKER_HOST, and DOCKER_CONTEXT environment variables if you have added them to `~/.bashrc`.",
  );
  info("This uninstallation tool does NOT remove Docker binaries and data.");
  info(`To remove data, run: \`${bin}/rootlesskit rm -rf ${home}/.local/share/docker\``);
  return 0;
}
