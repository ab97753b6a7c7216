import type { ChildProcess } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { processesOf, type User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { send } from "../chaos/victims.ts";
import { end, label, type Subject, start } from "./subject.ts";

/** A launcher that is kept running. Disposed of, it is told to end, and waited for. */
export interface Unit extends AsyncDisposable {
  /** Rejects when it ends and nothing starts it again. */
  readonly lost: Promise<never>;
}

/** RestartSec=2 of the unit that dockerd-rootless-setuptool.sh writes. Milliseconds. */
const RESTART_SEC = 2000;

/**
 * Starts dockerd under a launcher. rlkit keeps it by itself. RootlessKit ends with its dockerd, and is kept as by its systemd unit
 * (Restart=always, RestartSec=2, KillMode=mixed): what is left of the unit is killed, and 2 s later it is started again. This loop
 * stands in for systemd, which need not be this machine's first process.
 */
export function startUnit(user: User, subject: Subject, flags: readonly string[]): Unit {
  let child: ChildProcess;
  let stopping = false;
  const once = async (): Promise<string> => {
    child = start(user, subject.env, subject.dockerd(flags));
    return await end(child);
  };
  const keep = async (): Promise<string> => {
    for (;;) {
      const status = await once();
      if (stopping || subject.name === "rlkit") return status;
      for (const { pid } of await processesOf(user)) send(pid, "SIGKILL");
      await pause(RESTART_SEC);
      if (stopping) return status;
    }
  };
  const ended = keep();
  const lost = ended.then((status) => {
    throw new Error(`${label(subject)} ended with ${status}`);
  });
  lost.catch(() => {}); // it is raced, or of no interest any more
  return {
    lost,
    async [Symbol.asyncDispose]() {
      stopping = true;
      child.kill("SIGTERM");
      await within(60_000, () => `the end of ${label(subject)} after SIGTERM`, ended);
      await until(async () => (await processesOf(user)).length === 0, { what: "the processes of dockerd to end" });
    },
  };
}
