import { existsSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import { configureLog, log } from "../log.ts";
import { capture } from "../native/capture.ts";
import { type RunOptions, resolveRunOptions } from "../options/run-options.ts";
import type { ProfileName } from "../options/supervision.ts";
import { runToEnd } from "../supervisor/run.ts";
import { rootlesskitFlags } from "./flags.ts";
import { type GoArguments, parseGoFlags } from "./go-flags.ts";
import { ended, programsOf, speakingAsRootlesskit, valuesOf } from "./rootlesskit.ts";
import { validate } from "./validate.ts";

/** An environment as Node has it. */
export type Env = Readonly<Record<string, string | undefined>>;

/** An error that is one of the script's own sentences. */
const refuse = (text: string): RlkitError => new RlkitError("USAGE", text, { exitStatus: 1 });

/** One of the shell scripts that start a daemon by way of RootlessKit, and what rlkit does in its place. */
export interface Script {
  profile: ProfileName;
  /** Of the variables that it reads: `DOCKERD_ROOTLESS_ROOTLESSKIT_`. */
  prefix: string;
  /** The daemon's program. */
  program(env: Env): string;
  /** Where another script's daemon has its state directory: the two would disturb each other. Undefined if there is none. */
  conflict(env: Env): string | undefined;
}

/** Does what the script does, with the daemon's argv; resolves to the exit status. */
export function runScript(script: Script, argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return speakingAsRootlesskit(async () => {
    if (process.getuid?.() === 0) throw refuse("This script must be executed as a non-privileged user");
    const conflict = script.conflict(env);
    if (conflict?.startsWith("/") && existsSync(conflict)) {
      throw refuse(
        `${conflict} is there: another rootless daemon runs (or did); stop it first, or remove that directory`,
      );
    }
    const flags = flagsOf(script.prefix, env);
    const args = parseGoFlags(rootlesskitFlags, [...flags, "--", script.program(env), ...argv]);
    validate(args, log.warn);
    const options = runOptionsOf(args, script.profile, env);
    configureLog(options.log);
    return ended(await runToEnd(options), args.words);
  });
}

/** The options of `rootlesskit` that the variables amount to; what stands in ..._FLAGS comes last. */
function flagsOf(prefix: string, env: Env): string[] {
  const variable = (name: string): string => env[prefix + name] ?? "";
  const net = variable("NET") || chooseNet(env.PATH ?? "");
  if (net === "host") throw refuse(`Unsupported RootlessKit network driver: ${net}`);
  const largest = ["slirp4netns", "pasta", "gvisor-tap-vsock"].includes(net) ? "65520" : "1500";
  return [
    ...(variable("STATE_DIR") === "" ? [] : [`--state-dir=${variable("STATE_DIR")}`]),
    ...[`--net=${net}`, `--mtu=${variable("MTU") || largest}`],
    `--slirp4netns-sandbox=${variable("SLIRP4NETNS_SANDBOX") || "auto"}`,
    `--slirp4netns-seccomp=${variable("SLIRP4NETNS_SECCOMP") || "auto"}`,
    ...(variable("DISABLE_HOST_LOOPBACK") === "false" ? [] : ["--disable-host-loopback"]),
    ...(variable("IPV6") === "true" ? ["--ipv6"] : []),
    // Also with pasta, for which the scripts take implicit: builtin knows the daemon's ports, and is as fast.
    `--port-driver=${variable("PORT_DRIVER") || "builtin"}`,
    "--propagation=rslave",
    ...detachment(prefix, variable("DETACH_NETNS")),
    ...variable("FLAGS").split(/\s+/).filter(Boolean),
  ];
}

function detachment(prefix: string, value: string): string[] {
  if (value === "1" || value === "true") return ["--detach-netns"];
  if (["", "0", "false", "auto"].includes(value)) return [];
  throw refuse(`${prefix}DETACH_NETNS must be true or false, not ${value}`);
}

/** The scripts' order of preference. */
function chooseNet(path: string): string {
  const slirp4netns = findProgram("slirp4netns", path);
  // One that has --netns-type is v0.4.0 or newer.
  if (slirp4netns !== undefined && capture(slirp4netns, ["--help"], [`PATH=${path}`]).output.includes("--netns-type")) {
    return "slirp4netns";
  }
  const others = ["pasta", "vpnkit"].find((program) => findProgram(program, path) !== undefined);
  return others ?? "gvisor-tap-vsock";
}

function runOptionsOf(args: GoArguments, profile: ProfileName, env: NodeJS.ProcessEnv): RunOptions {
  const values = {
    ...valuesOf(args),
    "state-dir": args.text("state-dir") || undefined,
    propagation: args.text("propagation"),
    "log-level": args.is("debug") ? "debug" : "info",
    "live-restore": "auto",
  };
  const options = resolveRunOptions({ values, command: args.words }, env, process.cwd(), profile);
  return { ...options, network: { ...options.network, programs: programsOf(args) } };
}
