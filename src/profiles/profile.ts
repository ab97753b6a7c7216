import type { Environment } from "../options/run-options.ts";
import type { Step } from "../plan/steps.ts";

/** A sentence for the log. */
export interface Note {
  level: "info" | "warn";
  text: string;
}

/** What a kind of target needs beyond the namespaces. */
export interface Profile {
  /** The state directory, unless the user chose one. */
  stateDir: string;
  command: readonly string[];
  env: Environment;
  /** Steps before everything else. */
  prepare: readonly Step[];
  /** Steps before the target starts, with all mounts made and the network up. */
  steps: readonly Step[];
  /** What clients outside need to find the target, by variable. */
  clientEnv: Environment;
  notes: readonly Note[];
}
