import type { OptionTable, Parsed } from "./options.ts";

/** One command of rlkit: what its help says, its options, and what carries it out (returns the exit status). */
export interface Command {
  name: string;
  /** What stands after the options, for the help: `-- CMD [ARG…]`. */
  operands: string;
  describe: string;
  options: OptionTable;
  run(parsed: Parsed): Promise<number>;
}
