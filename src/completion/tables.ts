import type { Command } from "../cli/command.ts";
import { flags, takesValue } from "../cli/flags.ts";
import type { Completable, Option } from "../cli/options.ts";

/** The commands' first words and what those are about: one of a command's own, or of a group. */
export function firstWords(
  commands: readonly Command[],
  groups: Readonly<Record<string, string>>,
): { word: string; describe: string }[] {
  const own = commands.filter(({ name }) => !name.includes(" "));
  return [
    ...own.map(({ name, describe }) => ({ word: name, describe })),
    ...Object.entries(groups).map(([word, describe]) => ({ word, describe })),
  ];
}

/** The second words of a group's commands. */
export const secondWords = (commands: readonly Command[], group: string): { word: string; describe: string }[] =>
  commands.flatMap(({ name, describe }) =>
    name.startsWith(`${group} `) ? [{ word: name.slice(group.length + 1), describe }] : [],
  );

/** Whether an option is on unless it is said to be off: only `--name=false` says something. */
export const isOnByDefault = ({ type, default: value }: Option): boolean => type === "boolean" && value === true;

/** What the value of an option can be. */
export const valuesOf = ({ choices, completes }: Option): Completable | undefined => choices ?? completes;

/** The flags whose value is the next word. */
export const valuedFlags = (command: Command): string[] =>
  flags(command).flatMap(({ flag, short, option }) => (takesValue(option) ? [flag, ...(short ? [short] : [])] : []));

/** A word for a shell that takes it as it is (all three know single quotes). */
export const quoted = (text: string): string =>
  /^[\w./=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
