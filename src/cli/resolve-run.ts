import { type RunOptions, resolveRunOptions } from "../options/run-options.ts";
import type { Parsed } from "./options.ts";

/** The options of `run` and `plan` here and now, with the maps that `--map` stands for. Throws USAGE, and what has no such map. */
export async function resolveRun(parsed: Parsed): Promise<RunOptions> {
  const options = resolveRunOptions(parsed, process.env, process.cwd());
  return options.remap === undefined ? options : (await import("../remap/run-maps.ts")).withRemap(options);
}
