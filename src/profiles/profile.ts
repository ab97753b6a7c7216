import type { Environment } from "../options/run-options.ts";
import type { Step } from "../plan/steps.ts";
import type { LiveRestore } from "./live-restore.ts";

/** A sentence for the log. */
export interface Note {
  level: "info" | "warn";
  text: string;
}

/** A target that answers HTTP. */
interface Daemon {
  /** The Unix socket on which `GET /_ping` is answered; undefined where it listens elsewhere. */
  socket: string | undefined;
  /** Undefined where containers don't outlive it, or the user has decided that. */
  liveRestore: LiveRestore | undefined;
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
  /** What the supervisor can ask and tell it; undefined for any command. */
  daemon: Daemon | undefined;
  notes: readonly Note[];
}
