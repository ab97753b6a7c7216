import type { Instance } from "../launch/launch.ts";
import type { Scope } from "../launch/scope.ts";
import { log } from "../log.ts";
import { networkName } from "../network/choose.ts";
import type { HelperKeeper } from "../network/keeper.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import type { Ports } from "../ports/ports.ts";
import type { Supervision } from "../supervisor/status.ts";
import { type Info, info } from "./info.ts";
import type { Metrics } from "./metrics.ts";
import { isInside, isOwner } from "./peer.ts";
import { serveApi } from "./server.ts";

/** What the API offers beside the run's facts. */
interface Offer {
  ports: Ports | undefined;
  helper: Pick<HelperKeeper, "name" | "running" | "restarts"> | undefined;
  supervision: Supervision;
  /** The target, by its program's name. */
  target(): Metrics["processes"][number];
  /** Called after each answer. */
  answered(): void;
}

/** Serves the API of a run whose target has started, on its api.sock, until the scope ends. */
export async function serveInstance(
  instance: Instance,
  plan: PlannedRun,
  options: RunOptions,
  scope: Scope,
  { ports, helper, supervision, target, answered }: Offer,
): Promise<void> {
  const tell = (): Info =>
    info(plan.stateDir, instance.init.pid, plan.network, options.network, {
      name: plan.portDriver,
      keepClient: options.ports.keepClient,
      backend: ports?.transparency(),
    });
  const metrics = (): Promise<Metrics> => gatherMetrics(tell(), [target(), helper], plan, ports);
  const api = { info: tell, ports: ports?.table, metrics, supervision };
  const server = serveApi({ fd: instance.apiFd }, api, isOwner, answered, isInside);
  scope.defer(() => server.close());
}

async function gatherMetrics(
  { version }: Info,
  [target, helper]: readonly [Metrics["processes"][number], Offer["helper"]],
  { network, portDriver }: PlannedRun,
  ports: Ports | undefined,
): Promise<Metrics> {
  const processes = [target];
  if (helper !== undefined) processes.push({ name: helper.name, up: helper.running, restarts: helper.restarts });
  const { portd } = ports ?? {};
  // It runs from the first port on.
  if (portd?.running !== undefined) processes.push({ name: "portd", up: portd.running, restarts: portd.restarts });
  return {
    version,
    network: networkName(network),
    portDriver,
    ports: ports?.table.list() ?? [],
    counters: await ports?.table.counters()?.catch((error: unknown) => {
      // The rest is still worth telling, above all that portd is down.
      log.debug(`no counters: ${String(error)}`);
      return undefined;
    }),
    processes,
  };
}
