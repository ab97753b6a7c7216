import { setTimeout as pause } from "node:timers/promises";
import { type ApiClient, openApi } from "../api/client.ts";
import { RlkitError } from "../errors.ts";
import type { Status } from "../supervisor/status.ts";
import type { Parsed } from "./options.ts";

/** Milliseconds for an answer that waits for a target to be ready. */
const RESTART_DEADLINE = 180_000;
const LOOK_EVERY = 20; // milliseconds

/** The API of the instance that `--state-dir` or `--instance` names, or that is the only one. */
export const apiOf = ({ values }: Pick<Parsed, "values">): ApiClient =>
  openApi({ stateDir: values["state-dir"] as string | undefined, instance: values.instance as string | undefined });

/** Has an instance start its target again, as another program if one is named. Resolves when that is ready. */
export const restart = (api: ApiClient, exec?: string): Promise<Status> =>
  api.ask<Status>("POST", "/v1/rlkit/restart", exec === undefined ? {} : { exec }, RESTART_DEADLINE);

/** Waits until a supervisor has ended: until its pid is gone, or what has it is only a zombie. */
export async function untilEnded(isThere: () => boolean): Promise<void> {
  while (isThere()) await pause(LOOK_EVERY);
}

/** Throws if the status is not that of a target that is ready. */
export function expectReady({ phase, target }: Status): void {
  if (phase === "ready") return;
  throw new RlkitError("INSTANCE", `${target.name} is ${phase}, not ready`, {
    exitStatus: 1,
    hint: "see why: rlkit status, and the log of rlkit run",
  });
}
