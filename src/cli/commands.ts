import type { Command } from "./command.ts";

// Each is loaded only when it is the one asked for: loading is what costs a start-up.
const loaders: Record<string, () => Promise<{ command: Command }>> = {
  run: () => import("./run.ts"),
  plan: () => import("./plan.ts"),
  exec: () => import("./exec.ts"),
  env: () => import("./env.ts"),
  idmap: () => import("./idmap.ts"),
};

/** The names of all commands, in the order of the help. */
export const commandNames: readonly string[] = Object.keys(loaders);

/** Loads a command; undefined when there is none of that name. */
export async function loadCommand(name: string): Promise<Command | undefined> {
  return Object.hasOwn(loaders, name) ? (await loaders[name]?.())?.command : undefined;
}
