import { execFile, execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { loginEnvironment } from "../../test/helpers/environment.ts";
import type { User } from "../../test/helpers/user.ts";
import type { Subject } from "./subject.ts";

const run = promisify(execFile);

/** The programs that make and answer the load (load.c, serve.c, iperf3), where the user can run them. */
export interface Tools {
  /** The server's path; its one argument is the port. */
  readonly serve: string;
  /** The client's path, for whoever starts it himself. */
  readonly loadPath: string;
  /** Runs the client, and returns what it printed. Rejects when it fails. */
  load(...args: readonly (string | number)[]): Promise<Record<string, number>>;
  /** Bits per second that have arrived from an iperf3 client. */
  iperf(port: number, ...args: readonly string[]): Promise<number>;
}

/** Runs a command as the user, and returns what it prints. Rejects with what it has said on stderr. */
export async function runAs(user: User, env: Subject["env"], command: readonly string[]): Promise<string> {
  const [file = "", ...args] = command;
  const options = { cwd: user.home, uid: user.uid, gid: user.gid, env: { ...env }, timeout: 60_000 };
  try {
    return (await run(file, args, options)).stdout;
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: unknown };
    // Not the message of the error: a command with 1,000 arguments is in it.
    throw new Error(`${command.slice(0, 6).join(" ")}: ${stderr || stdout || code}`);
  }
}

const FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow", "-O2"];

/** Compiles the programs into build/bench, and gives the user copies of them; the repository may lie under /root. */
export function buildTools(user: User): Tools {
  const build = join(import.meta.dirname, "..", "..", "build", "bench");
  mkdirSync(build, { recursive: true });
  execFileSync("iperf3", ["--version"], { stdio: "ignore" }); // if it is missing, that is to be said now
  const [loadPath, serve] = ["load", "serve"].map((name) => {
    execFileSync("cc", [...FLAGS, "-o", join(build, name), join(import.meta.dirname, `${name}.c`)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const path = join(user.home, `bench-${name}`);
    copyFileSync(join(build, name), path);
    chmodSync(path, 0o755);
    return path;
  }) as [string, string];

  const json = async <T>(...command: string[]) => JSON.parse(await runAs(user, loginEnvironment(user), command)) as T;
  return {
    serve,
    loadPath,
    load: (...args) => json(loadPath, ...args.map(String)),
    async iperf(port, ...args) {
      const address = ["-c", "127.0.0.1", "-p", String(port), "--json"];
      const { end } = await json<IperfReport>("iperf3", ...address, ...args);
      return end.sum_received.bits_per_second;
    },
  };
}

interface IperfReport {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}
