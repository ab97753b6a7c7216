import { setTimeout as pause } from "node:timers/promises";
import { RlkitError } from "../errors.ts";
import { parseDuration } from "../options/duration.ts";
import type { Status } from "../supervisor/status.ts";
import type { Command } from "./command.ts";
import { apiOf, expectReady } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

const LONGEST = 20; // seconds of one request
const LOOK_EVERY = 100; // milliseconds

async function run(parsed: Parsed): Promise<number> {
  noWords("wait", parsed.command);
  const timeout = parsed.values.timeout as string | undefined;
  const deadline = timeout === undefined ? undefined : performance.now() + parseDuration(timeout, "--timeout");
  for (;;) {
    const left = deadline === undefined ? Number.POSITIVE_INFINITY : deadline - performance.now();
    const status = await look(parsed, Math.max(0, Math.min(LONGEST, left / 1000)), left > 0 && deadline !== undefined);
    if (status === undefined) await pause(LOOK_EVERY);
    else if (status.phase === "ready") return 0;
    else if (left <= 0 || status.phase === "stopping" || status.phase === "failed") expectReady(status);
  }
}

/** The state of the instance, once it is ready or the time is up; undefined if there is none yet and `mayCome`. */
async function look(parsed: Parsed, seconds: number, mayCome: boolean): Promise<Status | undefined> {
  try {
    return await apiOf(parsed).ask<Status>("GET", `/v1/rlkit/wait?seconds=${seconds}`);
  } catch (error) {
    if (mayCome && error instanceof RlkitError && error.code === "INSTANCE") return undefined;
    throw error;
  }
}

/** `rlkit wait`: returns when the target of an instance is ready. */
export const command: Command = {
  name: "wait",
  operands: "",
  describe: "Wait until the target is ready; status 1 if it gets not",
  options: {
    ...instanceOption,
    timeout: { type: "string", describe: "how long, also for an instance that is not there yet (30s)" },
  },
  optionsAnywhere: true,
  run,
};
