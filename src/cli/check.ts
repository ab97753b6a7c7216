import { askToRun, runAsRoot } from "../check/fix.ts";
import { Interruption } from "../check/interruption.ts";
import { checkAsJson, printCheck, rootLines } from "../check/print.ts";
import type { Checked } from "../check/requirement.ts";
import { check, isGood } from "../check/run.ts";
import { thisMachine } from "../check/this-machine.ts";
import { RlkitError } from "../errors.ts";
import { configureLog } from "../log.ts";
import { isTerminal } from "../native/calls.ts";
import { type Environment, targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  noWords("check", words);
  const fixes = values.fix === true;
  if (values.yes === true && !fixes) throw new RlkitError("USAGE", "--yes goes with --fix alone");
  configureLog({ level: "silent" }); // everything that matters is in the result
  const env = targetEnvironment(process.env);
  const show = (results: readonly Checked[]): number => {
    const colours = isTerminal(1) && !env.NO_COLOR;
    printed(values.json === true ? checkAsJson(results) : printCheck(results, { colours }));
    return isGood(results) ? 0 : 1;
  };
  const results = await checkHere(env);
  const lines = rootLines(results);
  if (!fixes || lines.length === 0) return show(results);
  if (values.json !== true) show(results);
  if (values.yes !== true && !askToRun(lines)) return isGood(results) ? 0 : 1;
  runAsRoot(lines, env);
  return show(await checkHere(env));
}

async function checkHere(env: Environment): Promise<Checked[]> {
  const interruption = new Interruption();
  const machine = thisMachine(env, interruption.check);
  try {
    return await check(machine, interruption.look);
  } finally {
    await machine.close();
    interruption.end();
  }
}

/** `rlkit check`: whether a rootless dockerd can run here, by trying what it needs. */
export const command: Command = {
  name: "check",
  operands: "",
  describe: "Try everything that a rootless dockerd needs of this machine, and say what mends it",
  options: {
    json: { type: "boolean", describe: "for programs: every result, and the lines for root" },
    fix: { type: "boolean", describe: "run the lines for root by sudo, after asking, and check again" },
    yes: { type: "boolean", describe: "with --fix: don't ask" },
  },
  run,
};
