import yargsParser from "yargs-parser";
import { RlkitError } from "../errors.ts";
import type { OptionTable, Parsed } from "./options.ts";

// Options end at the first other word, as in sudo(8) and env(1): what follows is the target's argv, untouched.
export const parserConfiguration = {
  "halt-at-non-option": true,
  "populate--": false,
  "camel-case-expansion": false,
  "dot-notation": false,
  "duplicate-arguments-array": false,
  "greedy-arrays": false,
  "parse-numbers": false,
  "parse-positional-numbers": false,
  "short-option-groups": false,
  "strip-aliased": true,
  "unknown-options-as-args": false,
} as const;

/** What yargs itself can say about an argv: help, or what is wrong with it. Loaded only then (it costs 10 ms). */
export class NeedsYargs extends Error {}

const names = (table: OptionTable, ...types: string[]): string[] =>
  Object.keys(table).filter((name) => types.includes(table[name]?.type ?? ""));

/**
 * Parses an argv that is as it should be, with yargs' own parser alone: yargs as a whole is a third of the start-up time.
 * Whatever it can't take as it stands (help, an unknown option, a wrong value) throws NeedsYargs, and yargs speaks.
 */
export function parseQuickly(table: OptionTable, argv: readonly string[]): Parsed {
  const numbers = names(table, "number");
  // `--pidns true` runs true(1): a boolean never takes the next word, only `=value`.
  const bare = names(table, "boolean").filter((name) => !argv.some((word) => word.startsWith(`--${name}=`)));
  const result = yargsParser.detailed([...argv], {
    string: [...names(table, "string"), ...numbers],
    boolean: [...names(table, "boolean"), "help"],
    array: names(table, "array"),
    alias: Object.fromEntries(Object.entries(table).flatMap(([name, { alias }]) => (alias ? [[name, alias]] : []))),
    narg: Object.fromEntries(bare.map((name) => [name, 0])),
    configuration: { ...parserConfiguration, "duplicate-arguments-array": true },
  });
  if (result.error) throw new NeedsYargs(result.error.message);
  const { _: rest, ...found } = result.argv as Record<string, unknown> & { _: string[] };
  for (const word of argv.slice(0, argv.length - rest.length)) {
    const [, name = "", value = ""] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (table[name]?.type !== "boolean" || value === "true" || value === "false") continue;
    throw new RlkitError("USAGE", `${word} is neither true nor false`, { hint: `write --${name} or --${name}=false` });
  }
  const values: Record<string, string | boolean | number | string[] | undefined> = {};
  for (const [name, raw] of Object.entries(found)) {
    const option = table[name];
    // A scalar option that is repeated: the last one wins.
    const value = option?.type !== "array" && Array.isArray(raw) ? raw.at(-1) : raw;
    if (option === undefined) throw new NeedsYargs(name);
    if (option.choices !== undefined && !option.choices.includes(String(value))) throw new NeedsYargs(name);
    const isEmpty = value === "" || value === undefined || (Array.isArray(value) && value.length === 0);
    if (option.type !== "boolean" && isEmpty) throw new NeedsYargs(name);
    if (option.type === "number") {
      if (!/^\d+$/.test(String(value))) throw new NeedsYargs(name);
      values[name] = Number(value);
    } else values[name] = value as string | boolean | string[];
  }
  const given = Object.keys(values);
  for (const [name, option] of Object.entries(table)) values[name] ??= option.default;
  return { values, given, command: rest.map(String) };
}

/** Refuses words after the options of a command that takes none. */
export function noWords(command: string, words: readonly string[]): void {
  if (words.length === 0) return;
  throw new RlkitError("USAGE", `rlkit ${command} takes no arguments, got ${JSON.stringify(words[0])}`, {
    hint: `see rlkit ${command} --help`,
  });
}
