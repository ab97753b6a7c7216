import { type Config, configurable, readConfig } from "../config/config.ts";
import { configPath } from "../config/path.ts";
import { instanceName } from "../options/instance-name.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { type Parsed, runOptions } from "./options.ts";
import { noWords } from "./parse.ts";
import { jsonOption } from "./ports-options.ts";
import { printTable } from "./table.ts";

interface Setting {
  name: string;
  value: Parsed["values"][string] | null;
  /** Where it comes from: a file by its path. */
  from: string;
}

/** Every option with its value and where that comes from, as `run` would take them. */
function settings({ values, given }: Parsed, config: Config | undefined, instance: string | undefined): Setting[] {
  const own = config?.instances[instance ?? ""] ?? {};
  return Object.entries(configurable(runOptions)).map(([name, option]) => {
    if (given.includes(name)) return { name, value: values[name] ?? null, from: "command line" };
    if (own[name] !== undefined) return { name, value: own[name], from: `${config?.path}, instances.${instance}` };
    const general = config?.values[name];
    if (general !== undefined) return { name, value: general, from: `${config?.path}` };
    return { name, value: option.default ?? null, from: "default" };
  });
}

function instanceSetting({ given }: Parsed, name: string | undefined): Setting {
  const from = given.includes("instance") ? "command line" : name === undefined ? "default" : "RLKIT_INSTANCE";
  return { name: "instance", value: name ?? null, from };
}

const shown = (value: Setting["value"]): string =>
  value === null ? "-" : Array.isArray(value) ? value.join(" ") : `${value}`;

async function run(parsed: Parsed): Promise<number> {
  noWords("config show", parsed.command);
  const path = configPath(process.env);
  const config = path === undefined ? undefined : readConfig(path, runOptions);
  const instance = instanceName(parsed.values.instance, process.env);
  const all = [instanceSetting(parsed, instance), ...settings(parsed, config, instance)];
  if (parsed.values.json === true) return printed(`${JSON.stringify({ path, settings: all }, null, 2)}\n`);
  const rows = all.map(({ name, value, from }) => [name, shown(value), from]);
  const note = config === undefined ? `There is no ${path ?? "home directory"}.\n` : "";
  return printed(`${await printTable([{ head: "OPTION" }, { head: "VALUE" }, { head: "FROM" }], rows)}${note}`);
}

/** `rlkit config show`: what `rlkit run` would take for each option, and why. */
export const command: Command = {
  name: "config show",
  operands: "",
  describe: "What run takes for each option, and where that comes from; takes run's options as well",
  options: { ...runOptions, ...jsonOption },
  run,
};
