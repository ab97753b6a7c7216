import { spawn } from "node:child_process";
import { closeSync, fchownSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { loginEnvironment } from "./environment.ts";
import { isRunning } from "./processes.ts";
import type { User } from "./user.ts";
import { within } from "./wait.ts";

interface Status {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Result extends Status {
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of a test. `await using` ends it with the test, whatever the test's outcome. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** What it and its children have written so far; with `terminal`, all of it is in stdout. */
  readonly stdout: string;
  readonly stderr: string;
  /** Settles when the process itself has ended, even if children of it still hold its output. */
  readonly status: Promise<Status>;
  kill(signal: NodeJS.Signals): void;
  /** Types into it (`stdin: "pipe"` or `terminal`). */
  write(text: string): void;
  /** Waits for the end. */
  result(deadline?: number): Promise<Result>;
}

interface StartOptions {
  /** Added to the environment of a login; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdin?: "ignore" | "pipe";
  /** In the foreground of a terminal of its own (script's: `pid` is script's, the command is its only child). */
  readonly terminal?: boolean;
}

/** For what only root can do; never for a test of what users do. */
export const ROOT: User = {
  name: "root",
  uid: 0,
  gid: 0,
  home: "/root",
  runtimeDir: "/run",
  async [Symbol.asyncDispose]() {},
};

/** The runnable tree that the users of the tests can read. */
export const tree = (): string => inject("tree");

/** Starts rlkit as `user`. */
export function rlkit(user: User, args: readonly string[], options: StartOptions = {}): Running {
  return start(user, [join(tree(), "bin", "rlkit"), ...args], options);
}

/** Starts a command as `user`. */
export function start(user: User, command: readonly string[], options: StartOptions = {}): Running {
  const { env = {}, cwd = user.home, terminal = false, stdin = terminal ? "pipe" : "ignore" } = options;
  const [file = "", ...args] = terminal ? inTerminal(command) : command;
  const stdout = new Output(user);
  const stderr = new Output(user);
  const child = spawn(file, args, {
    cwd,
    env: { ...loginEnvironment(user), ...env },
    uid: user.uid,
    gid: user.gid,
    stdio: [stdin, stdout.fd, stderr.fd],
  });
  const status = new Promise<Status>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  status.catch(() => {}); // whoever awaits it gets the error; a test may fail before it does
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command.join(" ")} as ${user.name}`);
  return {
    pid,
    status,
    get stdout() {
      return stdout.text();
    },
    get stderr() {
      return stderr.text();
    },
    kill: (signal) => void process.kill(pid, signal),
    write: (text) => void child.stdin?.write(text),
    async result(deadline = 20_000) {
      const ended = await within(deadline, () => `the end of ${command.join(" ")}; stderr: ${stderr.text()}`, status);
      return { ...ended, stdout: stdout.text(), stderr: stderr.text() };
    },
    async [Symbol.asyncDispose]() {
      if (isRunning(pid)) child.kill("SIGKILL");
      await within(10_000, () => `the end of process ${pid} after SIGKILL`, status);
      stdout.close();
      stderr.close();
    },
  };
}

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function inTerminal(command: readonly string[]): string[] {
  return ["script", "--quiet", "--flush", "--return", "--command", `exec ${command.map(quote).join(" ")}`, "/dev/null"];
}

/**
 * Output goes to a file without a name, not to a pipe: it is complete when the process has ended, and orphans that hold it
 * open delay nobody. It belongs to the user, so that /dev/stderr can be opened.
 */
class Output {
  readonly fd: number;

  constructor(user: User) {
    const directory = mkdtempSync(join(tmpdir(), "rlkit-output-"));
    this.fd = openSync(join(directory, "text"), "a+", 0o600);
    fchownSync(this.fd, user.uid, user.gid);
    rmSync(directory, { recursive: true });
  }

  text(): string {
    const buffer = Buffer.alloc(fstatSync(this.fd).size);
    return buffer.toString("utf8", 0, readSync(this.fd, buffer, 0, buffer.length, 0));
  }

  close(): void {
    closeSync(this.fd);
  }
}
