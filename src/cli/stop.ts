import { printed } from "../output.ts";
import { readProcess } from "../supervisor/processes.ts";
import type { Status } from "../supervisor/status.ts";
import type { Command } from "./command.ts";
import { apiOf, untilEnded } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

async function run(parsed: Parsed): Promise<number> {
  noWords("stop", parsed.command);
  const api = apiOf(parsed);
  const { pid, target } = await api.ask<Status>("GET", "/v1/rlkit/status");
  const started = readProcess(pid)?.started;
  await api.ask("POST", "/v1/rlkit/stop");
  await untilEnded(() => {
    const process = readProcess(pid);
    return process !== undefined && process.started === started && process.state !== "Z";
  });
  return printed(`stopped ${target.name}\n`);
}

/** `rlkit stop`: ends an instance, and returns when it has ended. */
export const command: Command = {
  name: "stop",
  operands: "",
  describe: "End an instance in good order; returns when it is gone",
  options: instanceOption,
  optionsAnywhere: true,
  run,
};
