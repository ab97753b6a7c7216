import { readFileSync } from "node:fs";
import { closest, distance } from "fastest-levenshtein";
import type { Option, OptionTable, Parsed } from "../cli/options.ts";
import { isErrno, RlkitError } from "../errors.ts";

type Values = Parsed["values"];

/** What a configuration file says: for all instances, and for those with names. */
export interface Config {
  path: string;
  values: Values;
  instances: Readonly<Record<string, Values>>;
}

/** Options that say something about one start alone. */
const onlyOnce = ["instance", "wait", "ready-fd"];

/** The options of `run` that a file can have, by their names. */
export const configurable = (table: OptionTable): OptionTable =>
  Object.fromEntries(Object.entries(table).filter(([name]) => !onlyOnce.includes(name)));

const INSTANCES = "instances";

/**
 * Reads a configuration file; undefined where there is none. Throws RlkitError("USAGE") that names key, file and line for what is no JSON,
 * for an option that is none, and for a value that it can't have.
 */
export function readConfig(path: string, table: OptionTable): Config | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if (isErrno(cause, "ENOENT") || isErrno(cause, "ENOTDIR")) return undefined;
    throw new RlkitError("USAGE", `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  return new Reader(path, text, configurable(table)).read();
}

class Reader {
  readonly #path: string;
  readonly #text: string;
  readonly #table: OptionTable;

  constructor(path: string, text: string, table: OptionTable) {
    this.#path = path;
    this.#text = text;
    this.#table = table;
  }

  read(): Config {
    const { [INSTANCES]: instances = {}, $schema: _, ...values } = this.#object(this.#parse(), []);
    const named = Object.entries(this.#object(instances, [INSTANCES])).map(([name, part]) => {
      const keys = [INSTANCES, name];
      return [name, this.#values(this.#object(part, keys), keys)] as const;
    });
    return { path: this.#path, values: this.#values(values, []), instances: Object.fromEntries(named) };
  }

  #parse(): unknown {
    try {
      return JSON.parse(this.#text);
    } catch (cause) {
      const { message } = cause as Error;
      const at = Number(/position (\d+)/.exec(message)?.[1] ?? this.#text.length);
      throw new RlkitError("USAGE", `${this.#path}:${this.#line(at)}: this is no JSON: ${message}`, { cause });
    }
  }

  #object(value: unknown, keys: readonly string[]): Record<string, unknown> {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
    this.#refuse(keys, "is to be an object, with options by their names");
  }

  #values(part: Record<string, unknown>, keys: readonly string[]): Values {
    for (const [name, value] of Object.entries(part)) this.#check(name, value, [...keys, name]);
    return part as Values;
  }

  #check(name: string, value: unknown, keys: readonly string[]): void {
    const option = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (option === undefined) this.#refuse(keys, `is no option${this.#suggestion(name)}`);
    const wrong = misfit(option, value);
    if (wrong !== undefined) this.#refuse(keys, wrong);
  }

  #suggestion(name: string): string {
    if (onlyOnce.includes(name)) return " for a file: it is about one start alone";
    const near = closest(name, [...Object.keys(this.#table), INSTANCES]);
    return distance(name, near) <= Math.max(2, name.length / 3) ? `, did you mean ${near}?` : "";
  }

  #refuse(keys: readonly string[], why: string): never {
    const name = keys.length === 0 ? "what it says" : JSON.stringify(keys.join("."));
    throw new RlkitError("USAGE", `${this.#path}:${this.#lineOf(keys)}: ${name} ${why}`, {
      hint: "the options, and what they can be: rlkit run --help, or rlkit config schema",
    });
  }

  /** Where the last of the keys is, each looked for behind the one before. */
  #lineOf(keys: readonly string[]): number {
    const at = keys.reduce((from, key) => Math.max(from, this.#text.indexOf(JSON.stringify(key), from)), 0);
    return this.#line(at);
  }

  #line(at: number): number {
    return this.#text.slice(0, at).split("\n").length;
  }
}

/** What is wrong with an option's value; undefined if nothing. */
function misfit({ type, choices }: Option, value: unknown): string | undefined {
  switch (type) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "is to be true or false";
    case "number":
      return Number.isSafeInteger(value) && Number(value) >= 0 ? undefined : "is to be a number";
    case "array":
      return Array.isArray(value) && value.every((each) => typeof each === "string" && each !== "")
        ? undefined
        : "is to be an array of strings";
    case "string":
      if (typeof value !== "string" || value === "") return "is to be a string";
      return choices === undefined || choices.includes(value) ? undefined : `is to be one of ${choices.join(", ")}`;
  }
}

/** A command line with what a file says where it says nothing itself; the instance's own part of the file comes first. */
export function withConfig(parsed: Parsed, { values, instances }: Config, instance: string | undefined): Parsed {
  const own = instance !== undefined && Object.hasOwn(instances, instance) ? instances[instance] : {};
  const given = Object.fromEntries(parsed.given.map((name) => [name, parsed.values[name]]));
  return { ...parsed, values: { ...parsed.values, ...values, ...own, ...given } };
}
