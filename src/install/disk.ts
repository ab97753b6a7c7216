import {
  closeSync,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";

const reasons: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ENOSPC: ["the file system is full", "make room, and run the same command again"],
  EDQUOT: ["the user's disk quota is used up", "make room, and run the same command again"],
  EACCES: ["permission denied", "give this user the right to write there, or name another directory"],
  EPERM: ["the operation is not permitted", "give this user the right to write there, or name another directory"],
  EROFS: ["the file system is read-only", "name another directory, or mount it writable"],
  ENOTDIR: ["a part of the path is not a directory", "move that file away, or name another directory"],
};

/** Does something to an object on the disk; what the system answers becomes a sentence: "cannot write /x: the file system is full". */
export function onDisk<T>(doing: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (cause instanceof RlkitError || code === undefined) throw cause;
    const [why, hint] = reasons[code] ?? [code, undefined];
    throw new RlkitError("INSTALL", `cannot ${doing} ${path}: ${why}`, { hint, cause });
  }
}

/** The name under which a file or link is made before it takes its own: one for each path, so that what a killed run left is found. */
export const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.rlkit-new`);

/** Makes the entries of a directory last over a loss of power. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes all of a buffer: write(2) may take a part. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(fd, bytes, sent);
}

/** Writes a file so that under its name there is either what was there before or all of the new, whatever happens. */
export function writeWhole(path: string, content: string, mode: number): void {
  replace("write", path, (temporary) => {
    const fd = openSync(temporary, "wx", mode);
    try {
      writeAll(fd, Buffer.from(content));
      fchmodSync(fd, mode);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** Makes a symbolic link in the same way; one that is there is replaced. */
export function linkWhole(path: string, target: string): void {
  replace("make the link", path, (temporary) => symlinkSync(target, temporary));
}

function replace(doing: string, path: string, make: (temporary: string) => void): void {
  onDisk(doing, path, () => {
    const temporary = temporaryName(path);
    rmSync(temporary, { force: true });
    try {
      make(temporary);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    syncDirectory(dirname(path));
  });
}

/** Makes one directory, whose parent is there. */
export function makeDirectory(path: string, mode: number): void {
  onDisk("make the directory", path, () => {
    mkdirSync(path, { mode });
    syncDirectory(dirname(path));
  });
}

/** The directories of a path that are not there, the uppermost first. */
export function missingDirectories(path: string): string[] {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined || dirname(path) === path) return [];
  return [...missingDirectories(dirname(path)), path];
}

/** Removes a file or link, and what a killed run had begun to write in its place. */
export function removeFile(path: string): void {
  onDisk("remove", path, () => {
    rmSync(temporaryName(path), { force: true });
    rmSync(path, { force: true });
  });
}

/** Removes a directory with all that is in it, if it is there. */
export function removeTree(path: string): void {
  onDisk("remove", path, () => rmSync(path, { recursive: true, force: true }));
}

/** Removes a directory if nothing is in it; returns whether it is gone. */
export function removeIfEmpty(path: string): boolean {
  return onDisk("remove", path, () => {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return true;
      if (isErrno(error, "ENOTEMPTY") || isErrno(error, "EEXIST") || isErrno(error, "ENOTDIR")) return false;
      throw error;
    }
  });
}
