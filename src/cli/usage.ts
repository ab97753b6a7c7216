import { closest, distance } from "fastest-levenshtein";
import yargs from "yargs";
import { RlkitError } from "../errors.ts";
import type { Command } from "./command.ts";
import { commandNames, loadCommand } from "./commands.ts";
import { parserConfiguration } from "./parse.ts";

/** `, did you mean X?` if one of the known words is near enough to be meant. */
function suggestion(word: string, known: readonly string[]): string {
  const near = closest(word, known);
  return near !== undefined && distance(word, near) <= Math.max(2, word.length / 3) ? `, did you mean ${near}?` : "";
}

/** The error for a first word that is no command. */
export function unknownCommand(word: string): RlkitError {
  return new RlkitError("USAGE", `${JSON.stringify(word)} is not a command of rlkit${suggestion(word, commandNames)}`, {
    hint: `to run it in namespaces: rlkit run -- ${word}; the commands are ${commandNames.join(", ")}`,
  });
}

/** The help of rlkit as a whole. */
export async function overview(): Promise<string> {
  const parser = yargs([]).scriptName("rlkit").usage("$0 COMMAND [OPTION…]").version(false).help(false);
  for (const name of commandNames) {
    const command = await loadCommand(name);
    if (command !== undefined) parser.command(`${name} ${command.operands}`, command.describe);
  }
  parser.epilogue("rlkit COMMAND --help lists a command's options. rlkit --version prints the version.");
  return `${await parser.wrap(null).getHelp()}\n`;
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
    .usage(`$0 ${command.name} [OPTION…] ${command.operands}\n\n${command.describe}`)
    .options(command.options)
    .option("help", { alias: "h", type: "boolean", describe: "this help" })
    .parserConfiguration({ ...parserConfiguration })
    .requiresArg(Object.keys(command.options).filter((name) => command.options[name]?.type !== "boolean"))
    .version(false)
    .help(false)
    .strictOptions()
    .wrap(Math.min(120, process.stdout.columns ?? 100))
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
