import { join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import { configureLog, flushLog, log } from "../log.ts";
import { type RunOptions, resolveRunOptions, targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import { runToEnd } from "../supervisor/run.ts";
import { ROOTLESSKIT_VERSION, rootlesskitFlags, shownVersion } from "./flags.ts";
import { BadFlag, type GoArguments, type GoProgram, goHelp, parseGoFlags, quoted } from "./go-flags.ts";
import { describeExit, printError, writeLogrus } from "./messages.ts";
import { InsideError, refusal, validate } from "./validate.ts";

/** What RootlessKit ends with when its command was ended by a signal. */
const SIGNALLED = 255;

const program: GoProgram = {
  name: "rootlesskit",
  usage: "Linux-native fakeroot using user namespaces",
  synopsis: "rootlesskit [global options] [arguments...]",
  version: shownVersion,
  description: `rlkit under RootlessKit's name: the same options, exit codes, files and API.

Examples:
  # spawn a shell with a new user namespace and a mount namespace
  rootlesskit bash

  # make /etc writable
  rootlesskit --copy-up=/etc bash

  # set mount propagation to rslave
  rootlesskit --propagation=rslave bash

  # create a network namespace with slirp4netns, and expose 80/tcp on the namespace as 8080/tcp on the host
  rootlesskit --copy-up=/etc --net=slirp4netns --disable-host-loopback --port-driver=builtin -p 127.0.0.1:8080:80/tcp bash

What rlkit does beyond that: rlkit --help.`,
  flags: rootlesskitFlags,
};

/** `rootlesskit`, with its argv without the name; resolves to the exit status. */
export async function rootlesskit(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const asked = argv[0]?.replace(/^--?/, "-");
  if (asked === "-help" || asked === "-h") return printed(goHelp(program));
  if (asked === "-version" || asked === "-v") return printed(`rootlesskit version ${shownVersion}\n`);
  return await speakingAsRootlesskit(() => run(parseGoFlags(rootlesskitFlags, argv), env));
}

/** The exit status of a run, or of its failure, which is told in RootlessKit's form. */
export async function speakingAsRootlesskit(act: () => Promise<number>): Promise<number> {
  try {
    return await act();
  } catch (error) {
    flushLog({ expectMore: false });
    if (error instanceof BadFlag) printed(`Incorrect Usage: ${error.message}\n\n${goHelp(program)}\n`);
    else if (!(error instanceof RlkitError)) throw error;
    return failed(error);
  }
}

/** Says in RootlessKit's form why there was no run; returns the exit status. */
function failed(error: BadFlag | RlkitError): number {
  const hint = error instanceof RlkitError && error.hint !== undefined ? `. To do: ${error.hint}` : "";
  if (error instanceof InsideError || (error instanceof RlkitError && error.code === "COMMAND")) {
    printError("child ", error.message + hint);
    printError("parent", "child exited: exit status 1");
  } else {
    printError("parent", inUse(error.message) ?? error.message + hint);
  }
  return 1;
}

/** A state directory that another run has, in RootlessKit's words, and who it is. */
function inUse(message: string): string | undefined {
  const [, directory, who] = /^cannot use the state directory (.*): it is in use by (.*)$/.exec(message) ?? [];
  if (directory === undefined) return undefined;
  return `failed to lock ${directory}/lock, another RootlessKit is running with the same state directory? (${who})`;
}

async function run(args: GoArguments, env: NodeJS.ProcessEnv): Promise<number> {
  if (args.given("print-semver")) return printed(`${semver(args.text("print-semver"))}\n`);
  configureLog({ level: args.is("debug") ? "debug" : "warn", write: writeLogrus });
  validate(args, log.warn);
  const options = runOptionsOf(args, env);
  try {
    return ended(await runToEnd(options), args.words);
  } catch (error) {
    throw inOneLine(error, args.words);
  }
}

function semver(component: string): string {
  const index = ["major", "minor", "patch"].indexOf(component);
  if (index < 0) throw refusal(`expected --print-semver=(major|minor|patch), got ${quoted(component)}`);
  return ROOTLESSKIT_VERSION.split(".")[index] ?? "";
}

/** Tells how the command ended, unless it ended well; returns the exit status. */
export function ended(status: number, words: readonly string[]): number {
  if (status === 0) return 0;
  const code = (status & 0x7f) === 0 ? (status >> 8) & 0xff : SIGNALLED;
  printError("child ", `command [${words.join(" ")}] exited: ${describeExit(status)}`);
  printError("parent", `child exited: exit status ${code}`);
  return code;
}

/** Why a program can't be executed, in Go's words. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  ENOEXEC: "exec format error",
  ENOTDIR: "not a directory",
  EPERM: "operation not permitted",
};

/** A command that is not there, in Go's words. */
function inOneLine(error: unknown, words: readonly string[]): unknown {
  if (!(error instanceof RlkitError) || error.code !== "COMMAND") return error;
  const [name = ""] = words;
  const errno = Object.keys(reasons).find((each) => isErrno(error.cause, each));
  const isSought = errno === "ENOENT" && !name.includes("/");
  const known = errno === undefined ? error.message : `fork/exec ${name}: ${reasons[errno]}`;
  const why = isSought ? `exec: ${quoted(name)}: executable file not found in $PATH` : known;
  return new RlkitError("COMMAND", `command [${words.join(" ")}] exited: ${why}`);
}

/** The options of `rlkit run` that a command line of `rootlesskit` amounts to. */
export function runOptionsOf(args: GoArguments, env: NodeJS.ProcessEnv): RunOptions {
  const values = {
    ...valuesOf(args),
    "state-dir": args.text("state-dir") || temporaryStateDir(env),
    "log-level": "warn",
  };
  const options = resolveRunOptions({ values, command: args.words }, env, process.cwd(), "plain");
  const propagation = args.text("propagation");
  const isKnown = /^r?(private|slave|shared)$/.test(propagation);
  return {
    ...options,
    // Any other word is taken for "leave it", without a word.
    propagation: isKnown ? (propagation as RunOptions["propagation"]) : undefined,
    network: { ...options.network, programs: programsOf(args) },
    // The command itself speaks to the service manager.
    env: targetEnvironment(env),
    supervision: { ...options.supervision, manager: undefined },
  };
}

/** What of it goes by the same names. */
export function valuesOf(args: GoArguments) {
  const optional = (name: string): string | undefined => args.text(name) || undefined;
  return {
    ...{ net: args.text("net"), mtu: args.text("net") === "host" ? 0 : args.number("mtu") },
    ...{ cidr: optional("cidr"), ifname: optional("ifname"), ipv6: args.is("ipv6") },
    "disable-host-loopback": args.is("disable-host-loopback"),
    "lxc-user-nic-bridge": optional("lxc-user-nic-bridge"),
    "detach-netns": args.is("detach-netns"),
    "evacuate-cgroup2": optional("evacuate-cgroup2"),
    publish: [...args.list("publish")],
    "port-driver": args.text("port-driver"),
    "source-ip-transparent": args.is("source-ip-transparent"),
    "source-ip-transparent-backend": args.text("source-ip-transparent-backend"),
    ...{ pidns: args.is("pidns"), utsns: args.is("utsns"), ipcns: args.is("ipcns"), cgroupns: args.is("cgroupns") },
    reaper: args.text("reaper") === "auto" ? String(args.is("pidns")) : args.text("reaper"),
    "copy-up": [...args.list("copy-up")],
    "subid-source": args.text("subid-source"),
  };
}

/** The helper programs that it names. */
export function programsOf(args: GoArguments): Record<string, string> {
  return Object.fromEntries(
    ["slirp4netns", "pasta", "pesto", "vpnkit", "lxc-user-nic"].map((name) => [
      name,
      args.text(`${name}-binary`) || name,
    ]),
  );
}

/** As os.MkdirTemp names one; made when the run begins. */
function temporaryStateDir({ TMPDIR }: NodeJS.ProcessEnv): string {
  return join(TMPDIR || "/tmp", `rootlesskit${String(Math.floor(Math.random() * 2 ** 32)).padStart(9, "0")}`);
}
