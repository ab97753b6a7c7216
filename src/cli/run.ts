import { fstatSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { gatherFacts, type HostFacts } from "../host/facts.ts";
import { launch } from "../launch/launch.ts";
import { Scope } from "../launch/scope.ts";
import { Signals } from "../launch/signals.ts";
import { configureLog, flushLog } from "../log.ts";
import { type RunOptions, resolveRunOptions } from "../options/run-options.ts";
import { type PlannedRun, planRun } from "../plan/planner.ts";
import { announce } from "../supervisor/announce.ts";
import { supervise } from "../supervisor/supervise.ts";
import type { Command } from "./command.ts";
import { type Parsed, runOptions } from "./options.ts";

async function run(parsed: Parsed): Promise<number> {
  const options = resolveRunOptions(parsed, process.env, process.cwd());
  if (parsed.values.wait === true) return await (await import("./run-wait.ts")).startAndWait();
  configureLog(options.log);
  checkReadyFd(options.supervision.readyFd);
  const facts = gatherFacts(options);
  const plan = planRun(options, facts);
  const signals = new Signals();
  try {
    return await carryOut(plan, options, facts, signals);
  } catch (error) {
    const next = withoutPasta(error, plan, options, facts);
    if (next === undefined) throw error;
    return await carryOut(planRun(options, next), options, next, signals);
  } finally {
    flushLog({ expectMore: false });
  }
}

function checkReadyFd(fd: number | undefined): void {
  try {
    if (fd !== undefined) fstatSync(fd);
  } catch (cause) {
    throw new RlkitError("USAGE", `--ready-fd=${fd}: this descriptor is not open`, {
      hint: "hand it over: rlkit run --ready-fd=3 … 3>FILE",
      cause,
    });
  }
}

/** Starts and stays with one target; everything is undone when this returns or throws. */
async function carryOut(plan: PlannedRun, options: RunOptions, facts: HostFacts, signals: Signals): Promise<number> {
  const scope = new Scope();
  try {
    const instance = await launch(plan, options, scope, signals);
    announce(plan, facts); // only now: whoever can't start is told why, and nothing else
    return await supervise(instance, plan, options, scope, signals);
  } finally {
    await scope.close();
  }
}

/** The facts for a second try, when pasta was chosen by `auto` and then did not get ready, before there was a target. */
function withoutPasta(error: unknown, { network }: PlannedRun, { network: { name } }: RunOptions, facts: HostFacts) {
  if (!(error instanceof RlkitError) || error.code !== "NETWORK" || name !== "auto") return undefined;
  if (network.kind !== "helper" || network.driver.name !== "pasta") return undefined;
  return { ...facts, network: { ...facts.network, pastaFailure: error.message } };
}

export const command: Command = {
  name: "run",
  operands: "[--] CMD [ARG…]",
  describe: "Run a command, dockerd above all, in namespaces of its own",
  options: runOptions,
  run,
};
