import { existsSync } from "node:fs";
import { configPath } from "../config/path.ts";
import { instanceName } from "../options/instance-name.ts";
import { type Parsed, runOptions } from "./options.ts";

/** The command line with what the user's configuration file adds. Nothing is loaded where there is none. */
export async function configured(parsed: Parsed): Promise<Parsed> {
  const path = configPath(process.env);
  if (path === undefined || !existsSync(path)) return parsed;
  const { readConfig, withConfig } = await import("../config/config.ts");
  const config = readConfig(path, runOptions);
  return config === undefined ? parsed : withConfig(parsed, config, instanceName(parsed.values.instance, process.env));
}
