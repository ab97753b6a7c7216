import { printed } from "../output.ts";
import { formatSeconds } from "../supervisor/format.ts";
import type { Command } from "./command.ts";
import { apiOf, restart } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

async function run(parsed: Parsed): Promise<number> {
  noWords("restart", parsed.command);
  const began = performance.now();
  const { target } = await restart(apiOf(parsed));
  return printed(`${target.name} is ready again after ${formatSeconds(performance.now() - began)}\n`);
}

/** `rlkit restart`: starts the target again; namespaces, network and ports stay. */
export const command: Command = {
  name: "restart",
  operands: "",
  describe: "Start the target again; network, ports and (dockerd) containers stay",
  options: instanceOption,
  optionsAnywhere: true,
  run,
};
