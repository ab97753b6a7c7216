import type { OptionTable, Parsed } from "./options.ts";

/** One command of rlkit: what its help says, its options, and what carries it out (returns the exit status). */
export interface Command {
  name: string;
  /** What stands after the options, for the help: `-- CMD [ARG…]`. */
  operands: string;
  describe: string;
  options: OptionTable;
  run(parsed: Parsed): Promise<number>;
}

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
