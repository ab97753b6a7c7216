import type { Command } from "./command.ts";
import { helpOption, type Option } from "./options.ts";

/** The options of a command with their names as they are written, that for help among them. */
export function flags(
  command: Pick<Command, "options">,
): { flag: string; short: string | undefined; option: Option }[] {
  return Object.entries({ ...command.options, ...helpOption }).map(([name, option]) => ({
    flag: `--${name}`,
    short: option.alias && `-${option.alias}`,
    option,
  }));
}

/** Whether the next word is the option's value. */
export const takesValue = ({ type }: Option): boolean => type !== "boolean";
