import { execFile } from "node:child_process";
import { appendFile, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isRunning, type Process, runningProcesses } from "./processes.ts";
import { until } from "./wait.ts";

const run = promisify(execFile);

/** An ordinary user of this machine, made for a test and removed with everything of it: `await using user = await testUser()`. */
export interface User extends AsyncDisposable {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** XDG_RUNTIME_DIR */
  readonly runtimeDir: string;
}

type Identity = Omit<User, keyof AsyncDisposable>;

interface UserOptions {
  /** Lines for /etc/subuid and /etc/subgid; `[]` for a user without any. By default useradd gives 65536 of each. */
  readonly subids?: (user: Identity) => { readonly uid: readonly string[]; readonly gid: readonly string[] };
  /** false: a bare number that is in no passwd file. It has no sub-ids unless `subids` says so. */
  readonly passwd?: boolean;
}

let made = 0;

/** `name` is for tests that look at it; the others get one that says which test process made it. */
export async function testUser(name?: string, options: UserOptions = {}): Promise<User> {
  const { subids, passwd = true } = options;
  made += 1;
  const chosen = name ?? `rlt-${process.pid}-${made}`;
  const identity = passwd ? await addUser(chosen, subids === undefined) : await bareUser();
  const lines = subids?.(identity) ?? { uid: [], gid: [] };
  await appendLines("/etc/subuid", lines.uid);
  await appendLines("/etc/subgid", lines.gid);
  await mkdir("/run/user", { recursive: true });
  await rm(identity.runtimeDir, { recursive: true, force: true });
  await mkdir(identity.runtimeDir, { mode: 0o700 });
  await chown(identity.runtimeDir, identity.uid, identity.gid);
  return {
    ...identity,
    async [Symbol.asyncDispose]() {
      await removeFiles(identity);
      if (passwd) await run("userdel", ["--force", identity.name]);
      await removeLines("/etc/subuid", lines.uid);
      await removeLines("/etc/subgid", lines.gid);
    },
  };
}

/** Removes the users of test processes that ended without doing so. */
export async function removeStaleUsers(): Promise<void> {
  for (const line of (await readFile("/etc/passwd", "utf8")).split("\n")) {
    const pid = /^rlt-(\d+)-\d+:/.exec(line)?.[1];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const stale = parsePasswd(line);
    await removeFiles(stale);
    await run("userdel", ["--force", stale.name]);
  }
}

/** Ends what the user runs, and removes what it has written. */
async function removeFiles(user: Identity): Promise<void> {
  await endProcesses(user);
  for (const path of [user.runtimeDir, user.home, ...(await temporaryFiles(user))]) {
    await rm(path, { recursive: true, force: true });
  }
}

/** The processes that run under the user's id or one of its subordinate ids. */
export async function processesOf(user: Identity): Promise<Process[]> {
  const owns = await owner(user);
  return runningProcesses().filter(({ uid }) => owns(uid));
}

/** What the user has in the directories for temporary files. */
export async function temporaryFiles(user: Identity): Promise<string[]> {
  const owns = await owner(user);
  const directories = ["/tmp", "/var/tmp"];
  const names = await Promise.all(directories.map((directory) => readdir(directory)));
  const paths = directories.flatMap((directory, index) => (names[index] ?? []).map((name) => join(directory, name)));
  const owned = await Promise.all(paths.map(async (path) => owns((await lstatIfThere(path))?.uid)));
  return paths.filter((_, index) => owned[index]);
}

async function lstatIfThere(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    // Others work in these directories too.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function addUser(name: string, withSubids: boolean): Promise<Identity> {
  const noSubids = withSubids ? [] : ["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"];
  await run("useradd", ["--create-home", "--shell", "/bin/bash", ...noSubids, name]);
  return parsePasswd((await run("getent", ["passwd", name])).stdout);
}

function parsePasswd(line: string): Identity {
  const [name = "", , uid, gid, , home = ""] = line.split(":");
  return { name, uid: Number(uid), gid: Number(gid), home, runtimeDir: `/run/user/${uid}` };
}

async function bareUser(): Promise<Identity> {
  const taken = new Set((await readFile("/etc/passwd", "utf8")).split("\n").map((line) => Number(line.split(":")[2])));
  let uid = 30_000 + (process.pid % 20_000);
  while (taken.has(uid)) uid += 1;
  const home = await mkdtemp("/var/tmp/rlkit-home-");
  await chown(home, uid, uid);
  return { name: String(uid), uid, gid: uid, home, runtimeDir: `/run/user/${uid}` };
}

/**
 * Tells the user's ids, its own and the subordinate ones, from others'. A test may write a range that reaches over real users,
 * even root: what belongs to those is never the user's.
 */
async function owner(user: Identity): Promise<(uid: number | undefined) => boolean> {
  const ranges = (await readFile("/etc/subuid", "utf8"))
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([name]) => name === user.name || name === String(user.uid))
    .map(([, start, length]) => [Number(start), Number(length)] as const);
  const isSubordinate = (uid: number) =>
    uid > 65_535 && ranges.some(([start, length]) => uid >= start && uid < start + length);
  return (uid) => uid !== undefined && (uid === user.uid || isSubordinate(uid));
}

/** Several rounds: a process may start another while its parent is being ended. */
async function endProcesses(user: Identity): Promise<void> {
  await until(
    async () => {
      const left = await processesOf(user);
      for (const { pid } of left) kill(pid);
      return left.length === 0;
    },
    { what: `every process of ${user.name} to end` },
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function appendLines(file: string, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await appendFile(file, `${lines.join("\n")}\n`);
}

async function removeLines(file: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const kept = (await readFile(file, "utf8")).split("\n").filter((line) => line === "" || !lines.includes(line));
  await writeFile(file, kept.join("\n"));
}
