import { closeSync } from "node:fs";
import type { Info } from "../api/info.ts";
import { RlkitError } from "../errors.ts";
import { watchChildren } from "../launch/children.ts";
import type { Instance } from "../launch/launch.ts";
import type { Scope } from "../launch/scope.ts";
import { flushLog, log } from "../log.ts";
import { trimMemory } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";

/** Milliseconds in which a short command is likely to end, before anything is loaded for a long one. */
const SHORT_COMMAND = 20;
/**
 * Milliseconds after which memory that only the start needed is given back: once when it has settled, and again after V8's
 * garbage collector has been through what the start left (8 s).
 */
const SETTLED = [1000, 15_000];

/** Stays with a started target until it ends; resolves to its exit status as a shell would say it. */
export async function supervise(instance: Instance, info: Info, scope: Scope): Promise<number> {
  const { control, init, helper, target, apiFd } = instance;
  let ended: number | undefined;
  let wake: () => void = () => {};
  let lost = false;
  control.onExit((pid, status) => {
    if (pid !== target) return;
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
    const { serveApi } = await import("../api/server.ts"); // node:http takes 5 ms, and the target is already running
    const server = serveApi(apiFd, info);
    scope.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    scope.defer(watchChildren());
    await helper?.watch((status) => {
      log.error(`${helper.name} has ended (status ${shellStatus(status)}): there is no network inside any more`);
    });
    const timers = SETTLED.map((delay) => setTimeout(trimMemory, delay));
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (ended !== undefined || lost) resolve();
    });
    timers.forEach(clearTimeout);
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
