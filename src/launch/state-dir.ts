import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { isErrno, RlkitError, SyscallError } from "../errors.ts";
import { makeDirectories } from "../host/directories.ts";
import { log } from "../log.ts";
import { flock } from "../native/calls.ts";
import { describeLockHolder } from "./lock-holder.ts";

function refuse(path: string, why: string, hint: string, cause?: unknown): never {
  throw new RlkitError("STATE_DIR", `cannot use the state directory ${path}: ${why}`, { hint, cause });
}

const ELSEWHERE = "name another one with --state-dir";

/** Makes the directory if it is not there; refuses one that is not a directory of this user's own. */
function makeOwn(path: string, uid: number): void {
  try {
    if (isLink(path) && statSync(path).uid !== uid) {
      refuse(path, "it is a symbolic link to a directory that belongs to somebody else", ELSEWHERE);
    }
    makeDirectories(path, 0o700);
  } catch (cause) {
    if (cause instanceof RlkitError) throw cause;
    refuse(path, `it can't be made (${(cause as NodeJS.ErrnoException).code})`, ELSEWHERE, cause);
  }
  const owner = statSync(path, { throwIfNoEntry: false })?.uid ?? uid;
  if (owner !== uid) refuse(path, `it belongs to uid ${owner}`, ELSEWHERE);
}

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** What rlkit and RootlessKit put into a state directory. */
const OURS = /^(lock|child_pid|hosts|resolv\.conf|netns|gvisortapvsock|daemon\.json|\.?[\w-]+\.(sock|pid|pipe))$/;

/**
 * Everything in it is removed at the end, so a home directory given by mistake must not get that far: only an empty directory
 * will do, or one that has an empty file `lock` and nothing that doesn't belong to a state directory.
 */
function isForeign(path: string): boolean {
  const entries = readdirSync(path);
  const lockFile = lstatSync(join(path, "lock"), { throwIfNoEntry: false });
  if (lockFile === undefined) return entries.length > 0;
  return (lockFile.isFile() && lockFile.size > 0) || !entries.every((entry) => OURS.test(entry));
}

function lock(fd: number, kind: "shared" | "exclusive", path: string): void {
  try {
    flock(fd, kind, path);
  } catch (cause) {
    if (!isErrno(cause, "EAGAIN")) throw cause;
    refuse(path, `it is in use by ${describeLockHolder(fd)}`, `stop that one, or ${ELSEWHERE}`, cause);
  }
}

/** Removes what is in a directory, but for `keep`. */
function empty(path: string, keep?: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.name === keep) continue;
    const file = join(path, entry.name);
    if (entry.isDirectory()) rmSync(file, { recursive: true, force: true });
    else unlinkSync(file); // rmSync loads code of Node's, for which a short run has no time
  }
}

/**
 * Locks a state directory for this run and empties it of what a killed run left. Two locks, both released by the kernel when
 * this process dies: on the file `lock`, as RootlessKit has it, and on the directory, which holds even if somebody removes
 * that file, and which keeps systemd-tmpfiles from ageing the directory. Returns what removes it all.
 */
export function lockStateDir(path: string): () => void {
  makeOwn(path, process.getuid?.() ?? 0);
  const fds: number[] = [];
  try {
    openAndLock(path, fds);
  } catch (error) {
    fds.forEach(closeSync);
    // The run that had it ended between two steps of this one, and removed it.
    if (isErrno(error, "ENOENT")) return lockStateDir(path);
    throw error;
  }
  empty(path, "lock");
  return () => {
    try {
      empty(path);
      if (!isLink(path)) rmdirSync(path);
    } catch (error) {
      log.warn(`cannot remove the state directory ${path}: ${(error as Error).message}`);
    }
    fds.forEach(closeSync);
  };
}

/** Adds the descriptors that hold the locks to `fds`, those that it opened before it failed as well. */
function openAndLock(path: string, fds: number[]): void {
  const dirFd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  fds.push(dirFd);
  if (isForeign(path)) {
    lock(dirFd, "exclusive", path); // somebody may have removed the file of a run that still has the directory
    if (isGone(dirFd, path)) throw new SyscallError("flock", "ENOENT", path);
    refuse(
      path,
      "it is not empty, and not a state directory; nothing in it was touched",
      "name an empty or a new directory",
    );
  }
  const lockFd = openLockFile(path);
  fds.push(lockFd);
  lock(lockFd, "exclusive", path);
  lock(dirFd, "exclusive", path);
  flock(dirFd, "shared", path);
  if (isGone(dirFd, path)) throw new SyscallError("flock", "ENOENT", path);
}

/** Whether the run that had the directory removed it before this one had its lock. */
const isGone = (dirFd: number, path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(dirFd).ino;

function openLockFile(path: string): number {
  try {
    return openSync(join(path, "lock"), constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) throw cause;
    refuse(path, `its lock can't be opened (${(cause as NodeJS.ErrnoException).code})`, ELSEWHERE, cause);
  }
}
