import { closeSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { watchChildren } from "../launch/children.ts";
import type { Instance } from "../launch/launch.ts";
import type { Scope } from "../launch/scope.ts";
import { flushLog, log } from "../log.ts";
import { shellStatus } from "../native/capture.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import { keepSmall } from "./memory.ts";

/** Milliseconds in which a short command is likely to end, before anything is loaded for a long one. */
const SHORT_COMMAND = 20;

/** Stays with a started target until it ends; resolves to its exit status as a shell would say it. */
export async function supervise(
  instance: Instance,
  plan: PlannedRun,
  options: RunOptions,
  scope: Scope,
): Promise<number> {
  const { control, init, helper, target, apiFd } = instance;
  let ended: number | undefined;
  let wake: () => void = () => {};
  let lost = false;
  control.onEnd(target, (status) => {
    ended = status;
    wake();
  });
  control.onLost(() => {
    lost = true;
    wake();
  });
  await control.pump(SHORT_COMMAND);

  if (ended === undefined && !lost) {
    flushLog({ expectMore: true });
    await control.attach();
    scope.defer(watchChildren());
    await helper?.watch((status) => {
      log.error(`${helper.name} has ended (status ${shellStatus(status)}): there is no network inside any more`);
    });
    // Node's http takes 5 ms to load, and the target is already running.
    const { serveInstance } = await import("../api/instance.ts");
    const memory = await keepSmall();
    await serveInstance(instance, plan, options, scope, memory.busy);
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (ended !== undefined || lost) resolve();
    });
    memory.stop();
  } else {
    closeSync(apiFd);
  }
  if (ended !== undefined) return shellStatus(ended);
  await init.wait(1000);
  throw new RlkitError(
    "INIT_LOST",
    "rlkit-ns init, the process inside the namespaces, has been killed, and all in it with it",
    {
      hint: "look for who killed it (the kernel's out-of-memory killer, perhaps: dmesg), and start again",
    },
  );
}
