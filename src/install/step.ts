import type { Machine } from "../host/machine.ts";

/** One thing that an installation makes. */
export type Step = { why: string } & (
  | { do: "directory"; path: string; mode: number }
  /** `afterwards` is run when the file has been written, and when it has been removed; `endings` before it is removed. */
  | {
      do: "file";
      path: string;
      content: string;
      mode: number;
      afterwards?: readonly string[];
      endings?: readonly (readonly string[])[];
    }
  | { do: "link"; path: string; target: string }
  /** Lines in a file that is the user's. */
  | { do: "block"; path: string; text: string }
  /** A file that a later command makes. */
  | { do: "settings"; path: string }
  /** A file or directory that whatever runs the service makes. */
  | { do: "leavings"; path: string }
  | {
      do: "command";
      argv: readonly string[];
      /** What it makes, for messages. */
      what: string;
      /** It is not run if this succeeds and, with `prints`, prints that. */
      unless?: { argv: readonly string[]; prints?: string };
      /** What takes it back; without it there is nothing to take back. */
      undo?: readonly string[];
      /** It is not taken back as long as there are data that need it. */
      keptForData?: true;
      /** The instance that it is for; it is taken back with that. */
      instance?: string;
    }
);

/** What is to be made, in its order, and what the user is to be told. */
export interface Plan {
  steps: readonly Step[];
  /** Lines for the user's shell. */
  shellLines: readonly string[];
  notes: readonly string[];
  /** What starts the daemon, and what shows how it is. */
  start: readonly string[] | undefined;
}

/** The variables with which a docker client would be led elsewhere than the steps are about. */
export const neutralEnv: NonNullable<Parameters<Machine["run"]>[1]> = {
  DOCKER_HOST: undefined,
  DOCKER_CONTEXT: undefined,
};
