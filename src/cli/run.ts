import { info } from "../api/info.ts";
import { gatherFacts } from "../host/facts.ts";
import { launch } from "../launch/launch.ts";
import { Scope } from "../launch/scope.ts";
import { Signals } from "../launch/signals.ts";
import { configureLog, flushLog } from "../log.ts";
import { environmentList, resolveRunOptions } from "../options/run-options.ts";
import { planRun } from "../plan/planner.ts";
import { announce } from "../supervisor/announce.ts";
import { supervise } from "../supervisor/supervise.ts";
import type { Command } from "./commands.ts";
import { type Parsed, runOptions } from "./options.ts";

async function run(parsed: Parsed): Promise<number> {
  const options = resolveRunOptions(parsed, process.env, process.cwd());
  configureLog(options.log);
  const facts = gatherFacts(options);
  const plan = planRun(options, facts);
  const scope = new Scope();
  const signals = new Signals();
  scope.defer(() => signals.close());
  try {
    announce(plan, facts);
    const instance = await launch(plan, environmentList(options.env), scope, signals);
    signals.forwardTo((signo) => void instance.control.signal(instance.target, signo));
    return await supervise(instance, info(plan.stateDir, instance.init.pid, plan.network, options.network), scope);
  } finally {
    await scope.close();
    flushLog({ expectMore: false });
  }
}

export const command: Command = {
  name: "run",
  operands: "[--] CMD [ARG…]",
  describe: "Run a command, dockerd above all, in namespaces of its own",
  options: runOptions,
  run,
};
