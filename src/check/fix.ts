import { readSync, writeSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import { isTerminal } from "../native/calls.ts";
import type { Environment } from "../options/run-options.ts";

/** Asks at the terminal; only `y` and `yes` are consent. Throws where there is no terminal to ask at. */
export function askToRun(lines: readonly string[]): boolean {
  if (!isTerminal(0) || !isTerminal(2)) {
    throw new RlkitError("USAGE", "--fix asks before it runs anything as root, and there is no terminal to ask at", {
      hint: "run the block for root by hand, or: rlkit check --fix --yes",
    });
  }
  writeSync(2, `\n${lines.map((line) => `  ${line}\n`).join("")}Run this as root? [y/N] `);
  const answer = Buffer.alloc(256);
  const text = answer.toString("utf8", 0, readSync(0, answer));
  return /^\s*y(es)?\s*$/i.test(text);
}

/** Runs commands as root by sudo(8), which may ask for a password at the terminal. Throws when one of them fails. */
export function runAsRoot(lines: readonly string[], env: Environment): void {
  const sudo = findProgram("sudo", env.PATH ?? "");
  if (sudo === undefined) {
    throw new RlkitError("COMMAND", "cannot run the commands as root: there is no sudo on PATH", {
      hint: "become root in another way (su -), and paste the block",
    });
  }
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const { status } = spawnSync(sudo, ["sh", "-eux", "-c", lines.join("\n")], { stdio: "inherit", env });
  if (status === 0) return;
  throw new RlkitError(
    "COMMAND",
    `the commands for root failed (status ${status}); those before the last one shown have been run`,
    {
      hint: "see what the last one said, mend that, and run rlkit check again",
    },
  );
}
