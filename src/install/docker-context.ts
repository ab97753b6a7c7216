import { existsSync } from "node:fs";
import { join } from "node:path";

/** The docker client's context for a rootless daemon, by the name that Docker's own set-up tool gives it. */
export const CONTEXT = "rootless";

const context = (...words: string[]): string[] => ["--context=default", "context", ...words];

/** The docker client's arguments for all that is done about the context. */
export const contextArguments = {
  /** Prints its name; fails if there is none. */
  name: context("inspect", "-f", "{{.Name}}", CONTEXT),
  create: (runtimeDir: string): string[] =>
    context("create", CONTEXT, "--docker", `host=unix://${runtimeDir}/docker.sock`, "--description", "Rootless mode"),
  remove: context("rm", "-f", CONTEXT),
  use: (name: string): string[] => context("use", name),
} as const;

/** docker lies beside the other programs, or (a distribution's) anywhere on PATH. */
export const dockerBeside = (bin: string): string => (existsSync(join(bin, "docker")) ? join(bin, "docker") : "docker");
