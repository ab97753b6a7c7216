import { configSchema } from "../config/schema.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { runOptions } from "./options.ts";
import { noWords } from "./parse.ts";

/** `rlkit config schema`: for editors, and whoever makes configurations. */
export const command: Command = {
  name: "config schema",
  operands: "",
  describe: "Print the JSON Schema of ~/.config/rlkit/config.json",
  options: {},

  async run({ command: words }) {
    noWords("config schema", words);
    return printed(`${JSON.stringify(configSchema(runOptions), null, 2)}\n`);
  },
};
