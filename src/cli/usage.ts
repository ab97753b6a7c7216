import { closest, distance } from "fastest-levenshtein";
import yargs from "yargs";
import { RlkitError } from "../errors.ts";
import { topics } from "../help/topics.ts";
import type { Command } from "./command.ts";
import { commandNames, commandsOf, loadCommand } from "./commands.ts";
import { helpOption } from "./options.ts";
import { parserConfiguration } from "./parse.ts";

/** Columns, where there is no terminal that has others. */
const WIDTH = 80;

/** `, did you mean X?` if one of the known words is near enough to be meant. */
function suggestion(word: string, known: readonly string[]): string {
  const near = closest(word, known);
  return near !== undefined && distance(word, near) <= Math.max(2, word.length / 3) ? `, did you mean ${near}?` : "";
}

/** The error for words that begin no command. */
export function unknownCommand([first = "", second]: readonly string[]): RlkitError {
  const group = commandsOf(first);
  if (group.length > 0) {
    const near = suggestion(`${first} ${second}`, group);
    return new RlkitError("USAGE", `${JSON.stringify(`${first} ${second}`)} is not a command of rlkit${near}`, {
      hint: `the commands are ${group.join(", ")}`,
    });
  }
  const known = [...new Set(commandNames.map((name) => name.split(" ", 1)[0] ?? ""))];
  return new RlkitError("USAGE", `${JSON.stringify(first)} is not a command of rlkit${suggestion(first, known)}`, {
    hint: `to run it in namespaces: rlkit run -- ${first}; the commands are ${known.join(", ")}`,
  });
}

/** The error for words that are no subject of `rlkit help`. */
export function unknownTopic(words: string): RlkitError {
  const near = suggestion(words, [...topics.map(({ name }) => name), ...commandNames]);
  return new RlkitError("USAGE", `${JSON.stringify(words)} is neither a command nor a topic of rlkit${near}`, {
    hint: `the topics are ${topics.map(({ name }) => name).join(", ")}; rlkit help lists the commands as well`,
  });
}

/** The help of rlkit as a whole, or of the commands that begin with one word. */
export async function overview(group?: string): Promise<string> {
  const scriptName = group === undefined ? "rlkit" : `rlkit ${group}`;
  const parser = yargs([]).scriptName(scriptName).usage("$0 COMMAND [OPTION…]").version(false).help(false);
  for (const name of group === undefined ? commandNames : commandsOf(group)) {
    const { command } = (await loadCommand(name.split(" "))) ?? {};
    const words = group === undefined ? name : name.slice(group.length + 1);
    // Without operands: with them, descriptions would have a third of the line.
    if (command !== undefined) parser.command(words, command.describe);
  }
  const about = `${scriptName} COMMAND --help lists a command's options. rlkit --version prints the version.`;
  parser.epilogue(group === undefined ? `${topicList()}\n\n${about}` : about);
  return `${await parser.wrap(WIDTH).getHelp()}\n`;
}

function topicList(): string {
  const width = Math.max(...topics.map(({ name }) => name.length));
  const lines = topics.map(({ name, describe }) => `  rlkit help ${name.padEnd(width)}  ${describe}`);
  return ["Topics:", ...lines].join("\n");
}

/**
 * Has yargs look at an argv that the quick parser did not take. Returns the help when that is what was asked for; otherwise
 * throws what is wrong, with the nearest known option.
 */
export async function explain(command: Command, argv: readonly string[]): Promise<string> {
  const known = [...Object.keys(command.options), "help"].map((name) => `--${name}`);
  let problem: string | undefined;
  const parser = yargs([...argv])
    .scriptName("rlkit")
    .version(false) // before the options: one of them may have that name
    .usage(`$0 ${command.name} [OPTION…] ${command.operands}\n\n${command.describe}`)
    .options(command.options)
    .options(helpOption)
    .parserConfiguration({ ...parserConfiguration })
    .requiresArg(Object.keys(command.options).filter((name) => command.options[name]?.type !== "boolean"))
    .help(false)
    .strictOptions()
    .wrap(Math.min(120, process.stdout.columns ?? WIDTH))
    .exitProcess(false)
    .fail((message, error) => {
      problem ??= message ?? error.message;
    });
  const values = await parser.parseAsync();
  if (values.help === true) return `${await parser.getHelp()}\n`;
  const hint = `see rlkit ${command.name} --help`;
  const unknown = /^Unknown arguments?: ([^,]+)/.exec(problem ?? "")?.[1];
  if (unknown !== undefined) {
    const option = `${unknown.length === 1 ? "-" : "--"}${unknown}`;
    throw new RlkitError("USAGE", `unknown option ${option}${suggestion(option, known)}`, { hint });
  }
  for (const [name, option] of Object.entries(command.options)) {
    const given = option.type === "number" && argv.find((word) => word.startsWith(`--${name}`));
    if (given && !(Number.isInteger(values[name]) && Number(values[name]) >= 0))
      problem ??= `--${name} needs a whole number`;
  }
  const empty = argv.find((word) => /^--[^=]+=$/.test(word));
  const sentence = problem ?? (empty ? `${empty.slice(0, -1)} needs a value` : "an option has a value it can't take");
  throw new RlkitError("USAGE", sentence.trim().replaceAll(/\s*\n\s*/g, " "), { hint });
}
