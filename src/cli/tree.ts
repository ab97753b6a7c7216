import type { Info } from "../api/info.ts";
import { printed } from "../output.ts";
import type { Status } from "../supervisor/status.ts";
import { drawTree } from "../tree/draw.ts";
import { mountsOf, processTree } from "../tree/tree.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption, jsonOption } from "./ports-options.ts";

async function run(parsed: Parsed): Promise<number> {
  noWords("tree", parsed.command);
  const api = apiOf(parsed);
  const { pid } = await api.ask<Status>("GET", "/v1/rlkit/status");
  const { childPID } = await api.ask<Info>("GET", "/v1/info");
  const processes = processTree(pid);
  const mounts = mountsOf(childPID, pid);
  if (parsed.values.json === true) return printed(`${JSON.stringify({ processes, mounts }, null, 2)}\n`);
  return printed(drawTree(processes, mounts));
}

/** `rlkit tree`: what an instance consists of. */
export const command: Command = {
  name: "tree",
  operands: "",
  describe: "Draw an instance's processes with their namespaces and memory, and its mounts",
  options: { ...instanceOption, ...jsonOption },
  optionsAnywhere: true,
  run,
};
