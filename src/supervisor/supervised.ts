import { basename } from "node:path";
import { serveInstance } from "../api/instance.ts";
import type { Instance } from "../launch/launch.ts";
import type { Scope } from "../launch/scope.ts";
import { log } from "../log.ts";
import { HelperKeeper } from "../network/keeper.ts";
import { nameServers } from "../network/name-servers.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import type { Ports } from "../ports/ports.ts";
import { Manager } from "./manager.ts";
import { keepSmall } from "./memory.ts";
import { Output } from "./output.ts";
import { reporter } from "./report.ts";
import type { Policy } from "./states.ts";
import { Supervisor } from "./supervisor.ts";
import { Target } from "./target.ts";

const INIT_ANSWERS_WITHIN = 2000; // milliseconds
/** How often portd is asked whether it still answers. Milliseconds. */
const LOOK_EVERY = 5000;

/** Everything that a target has around it once it runs: its API, its supervisor, the service manager's view of it. */
export async function supervised(
  instance: Instance,
  plan: PlannedRun,
  options: RunOptions,
  scope: Scope,
): Promise<Supervisor> {
  const { control, target: pid, targetErrors } = instance;
  const { supervision } = options;
  const ports = await instance.ports();
  await ports?.portd?.attach();
  await instance.hostPorts?.portd.attach();
  const output = targetErrors === undefined ? undefined : new Output(targetErrors);
  scope.defer(() => output?.drain());
  await output?.attach();
  const helper = keepHelper(instance, plan, options, ports);
  scope.defer(() => helper?.stop());
  await helper?.watch();
  instance.lease?.keep();

  const memory = await keepSmall();
  scope.defer(() => memory.stop());
  const manager = new Manager(supervision.manager?.socket);
  const target = new Target({ instance, plan, options: supervision, manager, output, ports, busy: memory.busy });
  const program = plan.profile.command[0] ?? "";
  const supervisor = new Supervisor(policyOf(plan, options), target, { program, pid });
  scope.defer(() => supervisor.close());
  const report = reporter({ instance, plan, options, supervisor, output, ports, helper });
  await serveInstance(instance, plan, options, scope, {
    ports,
    helper,
    supervision: {
      status: report,
      settled: (milliseconds) => supervisor.settled(milliseconds),
      stop: () => supervisor.take({ type: "stop" }),
      restart: (exec) => supervisor.restart(exec),
    },
    target: () => {
      const { phase, restarts } = supervisor.state;
      return { name: target.name, up: phase === "ready", restarts };
    },
    answered: () => target.describe(),
  });
  target.attach(supervisor);
  if (ports?.portd !== undefined) scope.defer(regularly(LOOK_EVERY, () => ports.portd?.check()));
  if (supervision.manager?.watchdog !== undefined) {
    // Twice in its time, as sd_watchdog_enabled(3) advises.
    const feed = async (): Promise<void> => {
      if ((await control.answers(INIT_ANSWERS_WITHIN)) && (await target.isHealthy())) manager.alive();
    };
    scope.defer(regularly(supervision.manager.watchdog / 2, feed));
  }
  return supervisor;
}

/** The keeper of the network helper, where there is one. */
function keepHelper(
  { helper, startHelper, control, networkPid }: Instance,
  { network }: PlannedRun,
  options: RunOptions,
  ports: Ports | undefined,
): HelperKeeper | undefined {
  if (helper === undefined || network.kind !== "helper") return undefined;
  const keeper = new HelperKeeper({
    first: helper,
    start: startHelper,
    control,
    after: network.driver.after(options.network),
    init: networkPid,
    ifname: options.network.ifname,
    gateway: network.driver.addresses(options.network).gateway,
    ...(network.driver.name === "pasta" && { nameServers }),
  });
  keeper.replay = async () => ports?.replay();
  return keeper;
}

function policyOf({ profile }: PlannedRun, { supervision }: RunOptions): Policy {
  const { restart, max, delay, burst, stopTimeout, manager } = supervision;
  const name = basename(profile.command[0] ?? "");
  const saysReady = profile.daemon !== undefined || manager !== undefined;
  return { name, saysReady, restart, max, delay, burst, stopTimeout };
}

/** Does something every so many milliseconds, never twice at a time. Returns what ends that. */
function regularly(milliseconds: number, act: () => Promise<unknown> | undefined): () => void {
  let busy = false;
  const timer = setInterval(async () => {
    if (busy) return;
    busy = true;
    await Promise.resolve(act()).catch((error: unknown) => log.debug(String(error)));
    busy = false;
  }, milliseconds);
  return () => clearInterval(timer);
}
