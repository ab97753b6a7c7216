import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./options.ts";

// Scripts made from the tables: nothing of rlkit is started for a TAB, as yargs' own completion would have it (40 ms each).
const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

async function run({ command: [shell, ...more] }: Parsed): Promise<number> {
  if (!shells.includes(shell as Shell) || more.length > 0) {
    const given = [shell, ...more].join(" ");
    throw new RlkitError("USAGE", `rlkit completion takes the name of one shell${given && `, got ${given}`}`, {
      hint: `say which: ${shells.map((name) => `rlkit completion ${name}`).join(", ")}`,
    });
  }
  const { completionScript } = await import("../completion/script.ts");
  const { groups, loadAllCommands } = await import("./commands.ts");
  return printed(completionScript(shell as Shell, await loadAllCommands(), groups));
}

/** `rlkit completion`: what a shell needs to complete rlkit's commands, options and their values. */
export const command: Command = {
  name: "completion",
  operands: shells.join("|"),
  completes: shells,
  describe: "Print a script with which a shell completes commands, options and values",
  options: {},
  optionsAnywhere: true,
  run,
};
