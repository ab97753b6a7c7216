import { closeSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { watchChildren } from "../launch/children.ts";
import type { Instance } from "../launch/launch.ts";
import type { Scope } from "../launch/scope.ts";
import type { Signals } from "../launch/signals.ts";
import { flushLog, log } from "../log.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import type { Supervisor } from "./supervisor.ts";

/** Milliseconds in which a short command is likely to end, before anything is loaded for a long one. */
const SHORT_COMMAND = 20;
/** Milliseconds that what a daemon has left running has to end by itself. */
const GRACE = 3000;

/** Stays with a started target, and those that follow it, until nothing is to follow; resolves to the last one's wait status. */
export async function supervise(
  instance: Instance,
  plan: PlannedRun,
  options: RunOptions,
  scope: Scope,
  signals: Signals,
): Promise<number> {
  const { control, init, target, apiFd } = instance;
  let ended: number | undefined;
  let supervisor: Supervisor | undefined;
  control.onEnd(target, (status) => {
    ended = status;
    supervisor?.take({ type: "exited", status });
  });
  const { restart, stopTimeout, manager } = options.supervision;
  const isSupervised = restart !== "no" || stopTimeout !== undefined || manager !== undefined;
  const early: number[] = [];
  signals.forwardTo((signo) => {
    if (supervisor !== undefined) supervisor.take({ type: "signal", signo });
    else if (isSupervised)
      early.push(signo); // what it means has to be known before the target ends of it
    else void control.signal(target, signo).catch(() => {}); // it has ended
  });
  const lost = new Promise<never>((_, reject) => {
    control.onLost(async () => {
      await init.wait(1000);
      reject(initLost());
    });
  });
  lost.catch(() => {}); // it is raced below
  await control.pump(SHORT_COMMAND);

  if (ended !== undefined && restart === "no") {
    closeSync(apiFd);
    return ended;
  }
  flushLog({ expectMore: true });
  await control.attach();
  scope.defer(watchChildren());
  // Node's http takes 5 ms to load, and the target is already running.
  const { supervised } = await import("./supervised.ts");
  supervisor = await supervised(instance, plan, options, scope);
  for (const signo of early) supervisor.take({ type: "signal", signo });
  if (ended !== undefined) supervisor.take({ type: "exited", status: ended });
  await Promise.race([supervisor.finished, lost]);
  if (plan.profile.daemon !== undefined) await endRest(init.pid);
  return supervisor.state.lastStatus ?? 0;
}

/** Ends what a daemon has left running, and says what did not want to. */
async function endRest(init: number): Promise<void> {
  const { endDescendants } = await import("./processes.ts");
  const killed = await endDescendants(init, GRACE);
  if (killed.length > 0) log.warn(`had to kill: ${killed.map(({ name, pid }) => `${name} (pid ${pid})`).join(", ")}`);
}

const initLost = (): RlkitError =>
  new RlkitError(
    "INIT_LOST",
    "rlkit-ns init, the process inside the namespaces, has been killed, and all in it with it",
    { hint: "look for who killed it (the kernel's out-of-memory killer, perhaps: dmesg), and start again" },
  );
