import { type BigIntStats, lstatSync } from "node:fs";
import { join } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import { makeDirectories } from "./directories.ts";

/** Where a user's sockets lie, and how that was decided. */
export interface RuntimeDir {
  path: string;
  origin: "environment" | "found" | "private";
}

function stat(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** A real directory (no symbolic link) that belongs to `uid` and that nobody else can enter. */
function isPrivate(path: string, uid: number): boolean {
  const found = stat(path);
  return found?.isDirectory() === true && found.uid === BigInt(uid) && (found.mode & 0o077n) === 0n;
}

/**
 * XDG_RUNTIME_DIR, or what stands in for it: the user's /run/user/UID if it is there and private, else ~/.docker/run, as
 * Docker's own set-up tool has it. Never a name in /tmp, which others could have made beforehand. Only looks: the last may
 * still have to be made.
 */
export function findRuntimeDir(env: Readonly<Record<string, string>>, uid: number, home: string): RuntimeDir {
  const given = env.XDG_RUNTIME_DIR;
  if (given !== undefined && given !== "") {
    const found = stat(given);
    if (found === undefined || !(found.isDirectory() || found.isSymbolicLink())) {
      throw new RlkitError("RUNTIME_DIR", `XDG_RUNTIME_DIR is ${given}, which is not a directory`, {
        hint: `unset XDG_RUNTIME_DIR (rlkit then finds one), or have an administrator run: sudo loginctl enable-linger ${uid}`,
      });
    }
    return { path: given, origin: "environment" };
  }
  const login = `/run/user/${uid}`;
  if (isPrivate(login, uid)) return { path: login, origin: "found" };
  return { path: privateDir(home, uid), origin: "private" };
}

const OWN = "set XDG_RUNTIME_DIR to a directory of your own with mode 0700";

/** Where the private directory is, or will be once it is made; one that is there must be private. */
function privateDir(home: string, uid: number): string {
  const path = join(home, ".docker", "run");
  if (stat(path) === undefined || isPrivate(path, uid)) return path;
  throw new RlkitError("RUNTIME_DIR", `${path}, in place of XDG_RUNTIME_DIR, is open to others or not yours`, {
    hint: `chmod 0700 ${path}, or ${OWN}`,
  });
}

/** Makes the private directory, if it is not there. */
export function makePrivateDir(path: string): void {
  try {
    makeDirectories(path, 0o700);
  } catch (cause) {
    const text = `cannot make ${path} in place of XDG_RUNTIME_DIR: ${(cause as Error).message}`;
    throw new RlkitError("RUNTIME_DIR", text, { hint: OWN, cause });
  }
}

/** The home directory: HOME, or the passwd entry's. */
export function findHome(env: Readonly<Record<string, string>>, passwdHome: string | undefined, uid: number): string {
  const home = env.HOME || passwdHome;
  if (home === undefined || home === "") {
    throw new RlkitError("HOME", `HOME is not set, and uid ${uid} has no passwd entry that says where it is`, {
      hint: "set HOME to a directory of this user: export HOME=/some/directory",
    });
  }
  if (stat(home) === undefined) {
    throw new RlkitError("HOME", `the home directory ${home} does not exist`, {
      hint: "set HOME to a directory of this user that exists",
    });
  }
  return home;
}
