import { basename } from "node:path";
import type { Instance } from "../launch/launch.ts";
import { networkAddresses, networkName } from "../network/choose.ts";
import type { HelperKeeper } from "../network/keeper.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import type { Ports } from "../ports/ports.ts";
import type { Output } from "./output.ts";
import { argumentsOf, type Descendant, descendants, memoryOf } from "./processes.ts";
import type { KeptProcess, Status } from "./status.ts";
import type { Supervisor } from "./supervisor.ts";

interface Subject {
  instance: Instance;
  plan: PlannedRun;
  options: RunOptions;
  supervisor: Supervisor;
  output: Output | undefined;
  ports: Ports | undefined;
  helper: HelperKeeper | undefined;
}

/** A moment of the clock that does not jump, as milliseconds since the epoch. */
const epoch = (moment: number): number => Math.round(Date.now() - (performance.now() - moment));

/** What tells how a run stands. */
export function reporter(subject: Subject): () => Promise<Status> {
  const { instance, plan, options, supervisor, output, ports, helper } = subject;
  return async () => {
    const { state, target, program } = supervisor;
    const [, ...args] = plan.profile.command;
    return {
      version: __VERSION__,
      stateDir: plan.stateDir,
      pid: process.pid,
      phase: state.phase,
      since: epoch(state.since),
      degraded: [helper?.degraded, instance.lease?.degraded, ports?.portd?.degraded].filter(
        (sentence) => sentence !== undefined,
      ),
      target: {
        name: basename(program),
        command: [program, ...args],
        pid: target ?? null,
        startedAt: target === undefined ? null : epoch(state.startedAt),
        readyAfter: state.phase === "ready" ? Math.round(state.readyAfter ?? 0) : null,
      },
      restarts: {
        policy: policyText(options),
        count: state.restarts,
        latest: state.reasons.map(({ at, reason }) => ({ at: epoch(at), reason })),
      },
      network: {
        driver: networkName(plan.network),
        up: plan.network.kind !== "none" && (helper === undefined || helper.running),
        restarts: helper?.restarts ?? 0,
        dns: networkAddresses(plan.network, options.network)?.dns ?? instance.lease?.nameServers[0] ?? null,
      },
      ports: { driver: plan.portDriver, count: ports?.table.size ?? 0, orphans: ports?.table.orphans ?? 0 },
      processes: processes(instance, helper),
      lastLines: output?.lastLines ?? [],
      logFile: options.log.file ?? null,
    };
  };
}

const policyText = ({ supervision: { restart, max } }: RunOptions): string =>
  max === undefined ? restart : `${restart}:${max}`;

/** rlkit's own processes, and those that it keeps. */
function processes({ init }: Instance, helper: HelperKeeper | undefined): KeptProcess[] {
  const kept = (name: string, pid: number): KeptProcess => ({ name, pid, rss: memoryOf(pid) });
  // What holds a detached network namespace has the same name.
  const portdsOf = (pid: number): Descendant[] =>
    descendants(pid).filter(
      ({ parent, name, pid: own }) => parent === pid && name === "rlkit-ns" && argumentsOf(own)[1] === "portd",
    );
  return [
    kept("rlkit", process.pid),
    kept("rlkit-ns init", init.pid),
    ...portdsOf(init.pid).map(({ pid }) => kept("rlkit-ns portd", pid)),
    ...portdsOf(process.pid).map(({ pid }) => kept("rlkit-ns portd to the host", pid)),
    ...(helper === undefined ? [] : descendants(helper.pid).map(({ pid }) => kept(helper.name, pid))),
  ];
}
