import { closeSync, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import type { IdMapFacts, ToolFacts } from "../idmap/check.ts";
import type { IdFacts } from "../idmap/check-ranges.ts";
import { parseIdMap } from "../idmap/map.ts";
import {
  type Delegated,
  type IdKind,
  readDelegation,
  readIfThere,
  type SubidIo,
  type SubidSource,
  subidFile,
  subidService,
} from "../idmap/source.ts";
import type { User } from "../idmap/user.ts";
import { capture } from "../native/capture.ts";
import { environmentList } from "../options/run-options.ts";
import { findProgram } from "./programs.ts";

const O_PATH = 0o10000000; // not among Node's constants
const S_ISUID = 0o4000;

/**
 * The user that this process runs as. The name comes from passwd(5) and never from $USER, which sudo and su leave at somebody
 * else's; it is undefined for a uid without passwd entry, for which userInfo() throws.
 */
export function currentUser(): User & { home: string | undefined } {
  try {
    const { uid, gid, username, homedir } = userInfo();
    return { name: username, uid, gid, home: homedir };
  } catch {
    return { name: undefined, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, home: undefined };
  }
}

/** The files and programs of this machine, with that environment. */
export const hostIo = (env: Readonly<Record<string, string>>): SubidIo => ({
  env,
  readFile: (path) => readFileSync(path, "utf8"),
  run([program = "", ...args]) {
    const file = findProgram(program, env.PATH ?? "");
    if (file === undefined) return { status: 127, stdout: "", stderr: `${program} is not on PATH` };
    const { status, output } = capture(file, args, environmentList(env));
    return { status, stdout: output, stderr: status === 0 ? "" : output };
  },
});

interface Mount {
  id: string;
  point: string;
}

/** The mounts with the option nosuid in the text of proc_pid_mountinfo(5). */
export function nosuidMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split("\n")
    .map((line) => line.split(" "))
    .flatMap(([id, , , , point, mountOptions]) =>
      id && point && mountOptions?.split(",").includes("nosuid") ? { id, point: unescaped(point) } : [],
    );
}

/** Spaces and the like are written as `\040`. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The mount point that a file is under, if that is one of `mounts`. */
function mountOf(file: string, mounts: readonly Mount[]): string | undefined {
  const real = realpathSync.native(file);
  const above = mounts.filter(({ point }) => `${real}/`.startsWith(point === "/" ? "/" : `${point}/`));
  if (above.length === 0) return undefined;
  // Another mount may lie between, or hide one of these. The kernel knows; asking it costs more than all of the above.
  const fd = openSync(real, O_PATH);
  try {
    const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return above.find((mount) => mount.id === id)?.point;
  } finally {
    closeSync(fd);
  }
}

/** Node reads no extended attributes, so getcap(8), which many a user's PATH lacks the directory of, is run. */
function hasCapability(file: string, capability: string, { run, env }: SubidIo): boolean | undefined {
  const getcap = findProgram("getcap", `${env.PATH ?? ""}:/usr/sbin:/sbin`);
  if (getcap === undefined) return undefined;
  const { status, stdout } = run([getcap, file]);
  return status === 0 ? stdout.includes(capability) : undefined;
}

function toolFacts(name: string, capability: string, nosuid: readonly Mount[], io: SubidIo): ToolFacts | undefined {
  const path = findProgram(name, io.env.PATH ?? "");
  if (path === undefined) return undefined;
  const { mode, uid } = statSync(path);
  const setuid = (mode & S_ISUID) !== 0;
  return {
    path,
    owner: uid,
    setuid,
    capability: setuid ? undefined : hasCapability(path, capability, io),
    nosuidMount: mountOf(path, nosuid),
  };
}

/**
 * What decides whether the current user can get id maps. A few small files are read and no program is started, unless newuidmap
 * lacks the setuid bit (getcap) or the sub-ids come from a service (getsubids). Throws what readDelegation does.
 */
export function gatherIdMapFacts(source: SubidSource, io: SubidIo, user: User = currentUser()): IdMapFacts {
  const nosuid = nosuidMounts(io.readFile("/proc/self/mountinfo"));
  const delegation = readDelegation(source, user, io);
  const ids = (kind: IdKind, delegated: Delegated): IdFacts => ({
    delegated,
    file: readIfThere(io, subidFile(kind)),
    outer: parseIdMap(io.readFile(`/proc/self/${kind}_map`)),
  });
  return {
    user,
    gid: process.getgid?.() ?? user.gid,
    localUser: (readIfThere(io, "/etc/passwd") ?? "").split("\n").some((line) => line.startsWith(`${user.name}:`)),
    subidService: subidService(readIfThere(io, "/etc/nsswitch.conf") ?? ""),
    noNewPrivs: io.readFile("/proc/self/status").includes("\nNoNewPrivs:\t1\n"),
    path: io.env.PATH ?? "",
    newuidmap: toolFacts("newuidmap", "cap_setuid", nosuid, io),
    newgidmap: toolFacts("newgidmap", "cap_setgid", nosuid, io),
    ids: { uid: ids("uid", delegation.uid), gid: ids("gid", delegation.gid) },
  };
}
