import type { Completable, Option, OptionTable, Parsed } from "./options.ts";

/** One command of rlkit: what its help says, its options, and what carries it out (returns the exit status). */
export interface Command {
  name: string;
  /** What stands after the options, for the help: `-- CMD [ARG…]`. */
  operands: string;
  /** What those are, for shells that complete them; absent where nobody knows beforehand. */
  completes?: Completable;
  describe: string;
  options: OptionTable;
  /** Options may come after operands, too: those are no command line of another program. */
  optionsAnywhere?: true;
  run(parsed: Parsed): Promise<number>;
}

/** The option that a word names, by its name or its letter. */
function optionOf(table: OptionTable, word: string): Option | undefined {
  if (word.startsWith("--")) return table[word.slice(2)];
  return Object.values(table).find(({ alias }) => alias === word.slice(1));
}

/**
 * An argv with its options before its operands, up to `--`: `8080:80 --json` as `--json 8080:80`. The order is otherwise kept.
 */
export function optionsFirst(table: OptionTable, argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  const [head, tail] = end < 0 ? [argv, []] : [argv.slice(0, end), argv.slice(end + 1)];
  const options: string[] = [];
  const operands: string[] = [];
  for (let i = 0; i < head.length; i += 1) {
    const word = head[i] ?? "";
    if (!/^-./.test(word)) operands.push(word);
    else {
      options.push(word);
      const next = head[i + 1];
      const type = optionOf(table, word)?.type;
      // The value of the option is the next word.
      if (type !== undefined && type !== "boolean" && next !== undefined && !next.startsWith("-")) {
        options.push(next);
        i += 1;
      }
    }
  }
  return operands.length + tail.length === 0 ? options : [...options, "--", ...operands, ...tail];
}
