import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "../helpers/processes.ts";

const SCRIPT = join(import.meta.dirname, "host.sh");
const HOSTS = process.env.RLKIT_HOSTS ?? "/var/tmp/rlkit-hosts";
export const DIST = join(import.meta.dirname, "..", "..", "dist");
/** The suite that has a podman in its root. */
export const WITH_PODMAN = "bookworm";
/** Where the tree lies in a host. */
export const RLKIT = "/opt/rlkit";

/** A throw-away host (host.sh); it ends with the block that it was made for. */
export interface Host extends AsyncDisposable {
  /** Its files as this machine sees them. */
  readonly files: string;
  /** The output of a shell command of the ordinary user; throws, with what it said, when that fails. */
  sh(command: string, deadline?: number): Promise<string>;
  root(...argv: string[]): Promise<string>;
  /** A shell command of the ordinary user that goes on. */
  start(command: string): ChildProcess;
}

export const USER = "testuser";
const live = new Set<string>();
let made = 0;

/** Starts a host of a suite, and copies the tree into it, and the Node that is to be used in place of the suite's. */
export async function upHost(suite: string, node?: string): Promise<Host> {
  made += 1;
  const name = `m${process.pid}-${made}`;
  live.add(name);
  const down = async (): Promise<void> => {
    await run("down", name);
    live.delete(name);
  };
  try {
    const pid = (await run("up", name, rootOf(suite))).trim();
    const host = {
      files: `/proc/${pid}/root`,
      sh: (command: string, deadline?: number) => within(deadline, "sh", name, USER, command),
      root: (...argv: string[]) => run("root", name, ...argv),
      start: (command: string) => spawn(SCRIPT, ["sh", name, USER, command], { stdio: "ignore" }),
      [Symbol.asyncDispose]: down,
    };
    if (node !== undefined) await cp(node, join(host.files, "usr/local/bin/node"), { dereference: true });
    await copyTree(host, host.files);
    return host;
  } catch (error) {
    await down();
    throw error;
  }
}

/** A host with systemd; its user has a session, and services of its own. */
export interface BootedHost extends Pick<Host, "root" | keyof AsyncDisposable> {
  /** The output of a shell command of the user in a login session; throws, with what it said, when that fails. */
  session(command: string, deadline?: number): Promise<string>;
  /** The same for somebody who comes by su from root's session, and so has none of its own. */
  su(command: string): Promise<string>;
  /** Shuts it down and starts it again. */
  reboot(): Promise<void>;
}

/** Boots a host of a suite, with the tree in it. */
export async function bootHost(suite: string): Promise<BootedHost> {
  made += 1;
  const name = `m${process.pid}-${made}`;
  live.add(name);
  const boot = async (): Promise<string> => `/proc/${(await run("boot", name, rootOf(suite))).trim()}/root`;
  const down = async (): Promise<void> => {
    await run("down", name);
    live.delete(name);
  };
  try {
    const host = {
      root: (...argv: string[]) => run("root", name, ...argv),
      session: (command: string, deadline?: number) => within(deadline, "session", name, USER, command),
      su: (command: string) => run("session", name, "root", `su - ${USER} -c '${command}'`),
      reboot: async () => {
        await run("halt", name);
        await boot();
      },
      [Symbol.asyncDispose]: down,
    };
    await copyTree(host, await boot());
    return host;
  } catch (error) {
    await down();
    throw error;
  }
}

async function copyTree(host: Pick<Host, "root">, files: string): Promise<void> {
  await cp(DIST, join(files, RLKIT), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  await writeCodeCache(host);
}

/** As the build does: the code cache belongs to one version of Node, and each suite has another. */
async function writeCodeCache({ root }: Pick<Host, "root">): Promise<void> {
  const cache = `RLKIT_WRITE_CODE_CACHE=${RLKIT}/lib/rlkit.cjs.cache`;
  const maps = ["--uid-map=0:0:1", "--gid-map=0:0:1"];
  const command = ["rlkit", "run", "--log-level=error", "--net=host", ...maps, "--", "true"];
  await root("rm", "-f", `${RLKIT}/lib/rlkit.cjs.cache`);
  await root("env", cache, "node", `${RLKIT}/lib/boot.cjs`, ...command);
}

const rootOf = (suite: string): string => join(HOSTS, suite);

/** Makes the root of a suite when it is not there. Before the first host: nothing else goes on meanwhile. */
export function makeRoot(suite: string): void {
  const root = rootOf(suite);
  if (existsSync(root)) return;
  process.stdout.write(`making a root of ${suite} …\n`);
  // crun: with runc podman wants cgroups.
  const more = suite === WITH_PODMAN ? ["podman", "crun"] : [];
  const script = join(import.meta.dirname, "make-root.sh");
  const { status, stderr } = spawnSync(script, [suite, root, ...more], { encoding: "utf8" });
  if (status !== 0) throw new Error(`make-root.sh ${suite}: ${stderr}`);
}

/** Ends the hosts of runs that ended without doing so; on a signal this run ends its own. */
export async function tidyHosts(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      for (const name of live) spawnSync(SCRIPT, ["down", name], { stdio: "inherit" });
      process.exit(1);
    });
  }
  const directory = join(HOSTS, "run");
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const pid = /^m(\d+)-\d+$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) await run("down", name);
  }
}

const run = (...args: string[]): Promise<string> => within(60_000, ...args);

/** Ends at the deadline, whatever goes on inside and holds the output: the host's end is the end of that, too. */
function within(deadline = 30_000, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(SCRIPT, args, { stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      output.stderr += text;
    });
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout.destroy();
      child.stderr.destroy();
      reject(new Error(`no end within ${deadline / 1000} s: ${args.at(-1)}: ${lastLine(output.stderr)}`));
    }, deadline);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(late);
      if (code === 0) resolve(output.stdout);
      else reject(new Error(lastLine(output.stderr) || lastLine(output.stdout) || `status ${code ?? signal}`));
    });
  });
}

export const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "";
