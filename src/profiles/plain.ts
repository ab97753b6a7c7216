import { join } from "node:path";
import type { HostFacts } from "../host/facts.ts";
import type { RunOptions } from "../options/run-options.ts";
import type { Profile } from "./profile.ts";

/** Any command: nothing is added to it, and its state directory is one of its own. */
export function plainProfile({ command, env, instance }: RunOptions, { temporaryDir, runId }: HostFacts): Profile {
  return {
    stateDir: join(temporaryDir, `rlkit-${instance ?? runId}`),
    command,
    env,
    prepare: [],
    steps: [],
    clientEnv: {},
    daemon: undefined,
    notes: [],
  };
}
