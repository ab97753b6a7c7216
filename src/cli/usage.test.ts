import { expect, test } from "vitest";
import { loadAllCommands } from "./commands.ts";
import { explain } from "./usage.ts";

test("a command's help has all of its options, with their choices", async () => {
  const commands = await loadAllCommands();
  expect(commands.length).toBeGreaterThan(15);
  for (const command of commands) {
    const words = new Set((await explain(command, ["--help"])).split(/[\s",\]]+/));
    for (const [name, { choices = [], alias }] of Object.entries(command.options)) {
      expect(words, command.name).toContain(`--${name}`);
      if (alias !== undefined) expect(words, command.name).toContain(`-${alias}`);
      for (const choice of choices) expect(words, command.name).toContain(choice);
    }
  }
});
