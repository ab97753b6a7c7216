import { existsSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isErrno } from "../errors.ts";

/** Makes a directory and those above it. Node's own way never returns below a directory that says ENOENT (/proc does). */
export function makeDirectories(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    const isGone = isErrno(error, "EEXIST") && lstatSync(path, { throwIfNoEntry: false }) === undefined;
    if (!isGone) {
      const parent = dirname(path);
      if (!isErrno(error, "ENOENT") || existsSync(parent)) throw error;
      makeDirectories(parent, mode);
    }
    makeDirectories(path, mode);
  }
}
