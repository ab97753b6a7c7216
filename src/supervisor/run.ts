import { fstatSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { gatherFacts, type HostFacts } from "../host/facts.ts";
import { launch } from "../launch/launch.ts";
import { Scope } from "../launch/scope.ts";
import { Signals } from "../launch/signals.ts";
import { flushLog } from "../log.ts";
import type { RunOptions } from "../options/run-options.ts";
import { type PlannedRun, planRun } from "../plan/planner.ts";
import { settle } from "../plan/settle.ts";
import { announce } from "./announce.ts";
import { supervise } from "./supervise.ts";

/** Starts a target as the options say and stays with it until nothing is to follow; resolves to its last wait status (waitpid(2)). */
export async function runToEnd(given: RunOptions): Promise<number> {
  checkReadyFd(given.supervision.readyFd);
  const facts = gatherFacts(given);
  const options = settle(given, facts);
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
