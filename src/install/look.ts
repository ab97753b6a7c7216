import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { isErrno } from "../errors.ts";
import { sha256 } from "./checksum.ts";
import type { Entry } from "./journal.ts";
import type { Step } from "./step.ts";

/** What lies where a step would make something. */
export type Found =
  | "nothing"
  /** It is as the step would make it. */
  | "there"
  /** An earlier installation made it, and it is unchanged. */
  | "ours"
  /** An earlier installation made it, and the user has changed it since. */
  | "changed"
  /** Somebody else's. */
  | "foreign";

/** The text of a file; undefined if there is none, or something else is there. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "EISDIR", "ENOTDIR", "ELOOP"].some((code) => isErrno(error, code))) return undefined;
    throw error;
  }
}

/** The target of a symbolic link; undefined if there is none, or something else is there. */
export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (["ENOENT", "EINVAL", "ENOTDIR"].some((code) => isErrno(error, code))) return undefined;
    throw error;
  }
}

/** Looks at the place of a file or link, with the journal of earlier installations. */
export function look(step: Step & { do: "file" | "link" }, entries: readonly Entry[]): Found {
  const { path } = step;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  const made = entries.flatMap((entry) =>
    "made" in entry && (entry.made === "file" || entry.made === "link") && entry.path === path ? [entry] : [],
  );
  if (step.do === "link" && found.isSymbolicLink()) {
    const target = readLink(path);
    if (target === step.target) return "there";
    if (made.some((entry) => entry.made === "link" && entry.target === target)) return "ours";
  }
  if (step.do === "file" && found.isFile()) {
    const text = readText(path) ?? "";
    if (text === step.content) return "there";
    if (made.some((entry) => entry.made === "file" && entry.sha256 === sha256(text))) return "ours";
  }
  return made.length > 0 ? "changed" : "foreign";
}
