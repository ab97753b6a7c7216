import type { Info } from "../api/info.ts";
import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption, jsonOption } from "./ports-options.ts";
import { type ListedPort, printPorts } from "./ports-table.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  noWords("ports list", words);
  const interval = values.interval as number | undefined;
  if (interval !== undefined && values.watch !== true) {
    throw new RlkitError("USAGE", "--interval goes with --watch", { hint: "rlkit ports list --watch --interval=5" });
  }
  if (interval === 0) throw new RlkitError("USAGE", "--interval=0 is too small: whole seconds, from 1");
  const api = apiOf({ values });
  const list = () => api.ask<ListedPort[]>("GET", "/v1/ports?counters");
  const json = values.json === true;
  if (values.watch === true) {
    const { watchPorts } = await import("./ports-watch.ts");
    const info = await api.ask<Info>("GET", "/v1/info");
    return watchPorts({ list, info, seconds: interval ?? 1, json });
  }
  const ports = await list();
  if (json) return printed(`${JSON.stringify(ports, null, 2)}\n`);
  return printed(await printPorts(ports, await api.ask<Info>("GET", "/v1/info")));
}

/** `rlkit ports list`: what is published, and what goes through it. */
export const command: Command = {
  name: "ports list",
  operands: "",
  describe: "List the published ports of a running instance",
  options: {
    ...instanceOption,
    ...jsonOption,
    watch: { type: "boolean", describe: "again and again, with rates a second; ends with ^C" },
    interval: { type: "number", describe: "seconds between two looks of --watch (1)" },
  },
  optionsAnywhere: true,
  run,
};
