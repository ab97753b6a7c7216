import { type ErrorCode, RlkitError } from "../errors.ts";

/** Something that would keep the id maps from being written ("error"), or some programs from working ("warning"). */
export interface Verdict {
  severity: "error" | "warning";
  code: ErrorCode;
  /** One line: what fails, on which object, why. */
  text: string;
  /** The line to run, or what to change. */
  fix: string;
  /** Who can do that: commands for root have their sudo; for the others it may be a sentence. */
  by: "root" | "user" | "outside";
}

/** A verdict as the error to throw. */
export function toError({ code, text, fix }: Verdict): RlkitError {
  return new RlkitError(code, text, { hint: fix });
}

/** A path, or an option with its value, as a word for the shell. */
export function shellWord(path: string): string {
  return /^(--[\w-]+=)?[\w./+:@%-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
