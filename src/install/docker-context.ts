import { existsSync } from "node:fs";
import { join } from "node:path";

/** The docker client's context for a rootless daemon, by the name that Docker's own set-up tool gives it. */
export const CONTEXT = "rootless";

const context = (...words: string[]): string[] => ["--context=default", "context", ...words];

/** An instance's. */
export const instanceContext = (instance: string): string => `rlkit-${instance}`;

/** The docker client's arguments for all that is done about a context. */
export const contextArguments = {
  /** Prints its name; fails if there is none. */
  name: (name: string): string[] => context("inspect", "-f", "{{.Name}}", name),
  create: (name: string, socket: string): string[] =>
    context("create", name, "--docker", `host=unix://${socket}`, "--description", "Rootless mode"),
  remove: (name: string): string[] => context("rm", "-f", name),
  use: (name: string): string[] => context("use", name),
} as const;

/** docker lies beside the other programs, or (a distribution's) anywhere on PATH. */
export const dockerBeside = (bin: string): string => (existsSync(join(bin, "docker")) ? join(bin, "docker") : "docker");
