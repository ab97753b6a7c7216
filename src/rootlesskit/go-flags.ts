/** One option of a program that is written in Go, as its flag package and urfave/cli know it. */
interface GoFlag {
  kind: "bool" | "string" | "int" | "list";
  alias?: string;
  /** The value where it is not given; "", 0, false or none where nothing is said. */
  value?: string | number | boolean;
  usage: string;
  category?: string;
}

/** The options of a program by name, in the order of its help. */
export type GoFlags = Readonly<Record<string, GoFlag>>;

/** What a command line says: all values, the given and the others, and the words behind the options. */
export interface GoArguments {
  text(name: string): string;
  is(name: string): boolean;
  number(name: string): number;
  list(name: string): readonly string[];
  /** Whether the option was on the command line. */
  given(name: string): boolean;
  words: readonly string[];
}

/** A command line that Go's flag package refuses, in its words. */
export class BadFlag extends Error {}

type Value = string | number | boolean | readonly string[];

const booleans: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(["1", "t", "T", "TRUE", "true", "True"].map((word) => [word, true])),
  ...Object.fromEntries(["0", "f", "F", "FALSE", "false", "False"].map((word) => [word, false])),
};

/** An integer as strconv.ParseInt reads it with base 0: 10, -1, 0x10, 0o17, 017, 0b1, 1_000. */
function parseInteger(text: string): number | undefined {
  const [, sign, digits = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const plain = digits.replace(/(?<=[0-9a-fA-FxXoObB])_(?=[0-9a-fA-F])/g, "").replace(/^0(?=[0-7]+$)/, "0o");
  if (!/^(\d+|0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)$/.test(plain)) return undefined;
  return sign === "-" ? -Number(plain) : Number(plain);
}

/** Go's %q. */
export const quoted = (text: string): string => JSON.stringify(text);

function parseValue({ kind }: GoFlag, name: string, text: string, before: Value | undefined): Value {
  switch (kind) {
    case "bool": {
      const value = booleans[text];
      if (value === undefined) throw new BadFlag(`invalid boolean value ${quoted(text)} for -${name}: parse error`);
      return value;
    }
    case "int": {
      const value = parseInteger(text);
      if (value === undefined) throw new BadFlag(`invalid value ${quoted(text)} for flag -${name}: parse error`);
      return value;
    }
    case "list":
      return [...((before as readonly string[] | undefined) ?? []), ...text.split(",").map((part) => part.trim())];
    case "string":
      return text;
  }
}

/**
 * Reads an argv without the program's name: options up to the first word that is none, or up to `--`. A name may have one dash or
 * two; a bool never takes the next word. Throws BadFlag.
 */
export function parseGoFlags(flags: GoFlags, argv: readonly string[]): GoArguments {
  const names = new Map(
    Object.entries(flags).flatMap(([name, { alias = name }]) => [[name, name] as const, [alias, name] as const]),
  );
  const values = new Map<string, Value>();
  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    if (word.length < 2 || !word.startsWith("-")) break;
    if (word === "--") {
      at += 1;
      break;
    }
    const [, given = "", assigned] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (given === "" || given.startsWith("-")) throw new BadFlag(`bad flag syntax: ${word}`);
    const name = names.get(given);
    const flag = name === undefined ? undefined : flags[name];
    if (name === undefined || flag === undefined) throw new BadFlag(`flag provided but not defined: -${given}`);
    let text = assigned;
    if (text === undefined && flag.kind === "bool") text = "true";
    if (text === undefined) {
      at += 1;
      text = argv[at];
    }
    if (text === undefined) throw new BadFlag(`flag needs an argument: -${given}`);
    values.set(name, parseValue(flag, given, text, values.get(name)));
  }
  const value = (name: string): Value | undefined => values.get(name) ?? flags[name]?.value;
  return {
    text: (name) => String(value(name) ?? ""),
    is: (name) => value(name) === true,
    number: (name) => Number(value(name) ?? 0),
    list: (name) => (value(name) as readonly string[] | undefined) ?? [],
    given: (name) => values.has(name),
    words: argv.slice(at),
  };
}

/** What a help text says about a program besides its options. */
export interface GoProgram {
  name: string;
  version: string;
  usage: string;
  synopsis: string;
  description?: string;
  /** For programs with commands: name, synopsis, usage. */
  commands?: readonly (readonly [name: string, usage: string])[];
  flags: GoFlags;
}

/** `--name value, -n value  [ … ]`: how urfave/cli writes an option. */
function spelling(name: string, { kind, alias }: GoFlag): string {
  const forms = [`--${name}`, ...(alias === undefined ? [] : [alias.length > 1 ? `--${alias}` : `-${alias}`])];
  const text = forms.map((form) => (kind === "bool" ? form : `${form} value`)).join(", ");
  return kind === "list" ? `${text} [ ${text} ]` : text;
}

function usageOf({ kind, value, usage }: GoFlag): string {
  const shown = kind === "string" && value !== undefined && value !== "" ? quoted(String(value)) : value;
  return shown === undefined || shown === "" ? usage : `${usage} (default: ${shown})`;
}

/** The help text, laid out as urfave/cli does. */
export function goHelp({ name, version, usage, synopsis, description, commands = [], flags }: GoProgram): string {
  const section = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? "" : `${title}:\n${lines.map((line) => (line === "" ? "" : `   ${line}`)).join("\n")}\n\n`;
  const all: GoFlags = {
    ...flags,
    help: { kind: "bool", alias: "h", usage: "show help", category: "Misc" },
    version: { kind: "bool", alias: "v", usage: "print the version", category: "Misc" },
  };
  const width = Math.max(...Object.entries(all).map(([each, flag]) => spelling(each, flag).length)) + 2;
  const line = ([each, flag]: [string, GoFlag]): string => `${spelling(each, flag).padEnd(width)}${usageOf(flag)}`;
  const categories = [...new Set(Object.values(all).map(({ category }) => category ?? ""))];
  const options = categories.flatMap((category, i) => {
    const members = Object.entries(all).filter(([, flag]) => (flag.category ?? "") === category);
    return category === ""
      ? members.map(line)
      : [...(i > 0 ? [""] : []), `${category}:`, ...members.map((each) => `  ${line(each)}`)];
  });
  const longest = Math.max(0, ...commands.map(([each]) => each.length));
  return [
    section("NAME", [`${name} - ${usage}`]),
    section("USAGE", [synopsis]),
    section("VERSION", [version]),
    section("DESCRIPTION", description === undefined ? [] : description.split("\n")),
    section(
      "COMMANDS",
      commands.map(([each, what]) => `${each.padEnd(longest)}  ${what}`),
    ),
    section(commands.length > 0 ? "GLOBAL OPTIONS" : "OPTIONS", options),
  ]
    .join("")
    .replace(/\n$/, "");
}
