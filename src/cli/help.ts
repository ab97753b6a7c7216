import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { topics } from "../help/topics.ts";
import { isTerminal } from "../native/calls.ts";
import { topicsPath } from "../native/paths.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { commandNames, commandsOf, loadCommand } from "./commands.ts";
import type { Parsed } from "./options.ts";

/** The text of a topic, for the terminal or whatever standard output is. */
async function showTopic(name: string): Promise<string> {
  const { parseMarkdown } = await import("../help/markdown.ts");
  const { toText } = await import("../help/text.ts");
  const path = join(topicsPath(), `${name}.md`);
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (cause) {
    const hint = "build it again with: npm run build";
    throw new RlkitError("BUILD", `cannot read ${path}: ${(cause as Error).message}`, { hint, cause });
  }
  return toText(parseMarkdown(source), { bold: isTerminal(1) && !process.env.NO_COLOR });
}

async function run({ command: words }: Parsed): Promise<number> {
  const { explain, overview, unknownTopic } = await import("./usage.ts");
  if (words.length === 0) return printed(await overview());
  const name = words.join(" ");
  const parts: string[] = [];
  if (commandNames.includes(name)) {
    const { command } = (await loadCommand(words)) ?? {};
    if (command !== undefined) parts.push(await explain(command, ["--help"]));
  }
  if (commandsOf(name).length > 0) parts.push(await overview(name));
  // `restart` is a command and a topic: who asks for help gets both.
  if (topics.some((topic) => topic.name === name)) parts.push(await showTopic(name));
  if (parts.length === 0) throw unknownTopic(name);
  return printed(parts.join("\n"));
}

const firstWords = commandNames.map((name) => name.replace(/ .*/, ""));

/** `rlkit help`: what a command does, or a text about a topic. */
export const command: Command = {
  name: "help",
  operands: "[COMMAND|TOPIC]",
  completes: [...new Set([...topics.map(({ name }) => name), ...firstWords])],
  describe: "Show the help of a command or a text about a topic; list both",
  options: {},
  optionsAnywhere: true,
  run,
};
