import { closeSync, readSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { RlkitError, SyscallError } from "../errors.ts";
import { Child, watchChildren } from "../launch/children.ts";
import { explainExec } from "../launch/explain-exec.ts";
import { findRunning } from "../launch/running.ts";
import { Signals } from "../launch/signals.ts";
import { isTerminal, pipe } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import { errnoName } from "../native/errno.ts";
import { rlkitNs } from "../native/paths.ts";
import { instanceName } from "../options/instance-name.ts";
import { environmentList, openFilesLimit, targetEnvironment } from "../options/run-options.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./options.ts";
import { instanceOption } from "./ports-options.ts";

const { SIGINT, SIGQUIT, SIGWINCH } = constants.signals;
const stages = [
  "",
  "open the namespaces of",
  "enter the namespaces of",
  "fork in",
  "become root in",
  "run a command in",
];

/** What `rlkit-ns enter` reports when it could not run the command: stage and errno, two 32-bit integers. */
function failure(fd: number, stateDir: string, program: string): unknown {
  const record = Buffer.alloc(8);
  if (readSync(fd, record) < 8) return undefined;
  const stage = record.readInt32LE(0);
  const errno = errnoName(record.readInt32LE(4));
  if (stage === 5) return explainExec(program, new SyscallError("exec", errno, program));
  return new RlkitError("INSTANCE", `cannot ${stages[stage]} the instance at ${stateDir}: ${errno}`);
}

async function run({ values, command }: Parsed): Promise<number> {
  const [program, ...args] = command;
  if (program === undefined) {
    throw new RlkitError("USAGE", "no command to run", {
      hint: "say which after the options: rlkit exec -- docker info",
    });
  }
  return await execInside(values, [program, ...args]);
}

/**
 * Runs a command in the namespaces of the instance that the options name, in the working directory and with the environment of the caller,
 * and `added`; resolves to its exit status. Throws RlkitError where that is not possible.
 */
export async function execInside(
  values: Parsed["values"],
  command: readonly [string, ...string[]],
  added: Readonly<Record<string, string>> = {},
): Promise<number> {
  const [program] = command;
  const name = values.instance as string | undefined;
  const around = name === undefined ? process.env.ROOTLESSKIT_STATE_DIR : undefined;
  const given = (values["state-dir"] as string | undefined) ?? around;
  const own = targetEnvironment(process.env);
  const instance = findRunning({
    stateDir: given === undefined ? undefined : resolve(given),
    instance: instanceName(name, process.env),
  });
  // The caller's environment, with what the target has been given beyond its own: where the instance is, and how to reach it.
  const inherited = [
    "ROOTLESSKIT_STATE_DIR",
    "ROOTLESSKIT_PARENT_EUID",
    "ROOTLESSKIT_PARENT_EGID",
    "RLKIT_INSTANCE",
    "XDG_RUNTIME_DIR",
    "PATH",
  ];
  const env = { ...own, ...added };
  for (const name of inherited) if (instance.env[name] !== undefined) env[name] = instance.env[name];

  const signals = new Signals();
  const stop = watchChildren();
  const [status, statusEnd] = pipe();
  const child = Child.start({
    path: rlkitNs(),
    argv: ["rlkit-ns", "enter", "3", String(instance.pid), String(instance.namespaces), process.cwd(), ...command],
    env: environmentList(env),
    fds: [0, 1, 2, statusEnd],
    deathSignal: 0,
    openFiles: openFilesLimit(process.env),
  });
  closeSync(statusEnd);
  // The command is in this process's group: what a terminal sends has reached it already.
  const fromTerminal = isTerminal(0) ? [SIGINT, SIGQUIT, SIGWINCH] : [];
  signals.forwardTo((signo) => fromTerminal.includes(signo) || child.kill(signo));
  const failed = failure(status, instance.stateDir, program);
  const ended = await new Promise<number>((done) => {
    // A pending promise alone does not keep Node running.
    const hold = setInterval(() => {}, 2 ** 30);
    child.onEnd((end) => {
      clearInterval(hold);
      done(end);
    });
  });
  stop();
  if (failed !== undefined) throw failed;
  return shellStatus(ended);
}

export const command: Command = {
  name: "exec",
  operands: "[--] CMD [ARG…]",
  completes: "program",
  describe: "Run a command in the namespaces of a running instance",
  options: instanceOption,
  run,
};
