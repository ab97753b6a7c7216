import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { findProgram } from "./programs.ts";

/** How a short program ended, and what it wrote. */
interface Ran {
  status: number;
  output: string;
}

/** What set-up asks of the machine; tests have another one. */
export interface Machine {
  env: Readonly<Record<string, string | undefined>>;
  user: { name: string; uid: number };
  /** Runs a program to its end, with variables added (undefined removes one); 127 if there is none of that name. */
  run(argv: readonly string[], env?: Readonly<Record<string, string | undefined>>): Ran;
  /** The text of a file; undefined if it can't be read. */
  read(path: string): string | undefined;
  has(program: string): boolean;
}

/**
 * This machine. Programs that it runs inherit the descriptor `inherited`: a lock is then held until the last of them has ended,
 * also when this process is killed before.
 */
export function thisMachine(env: Machine["env"], inherited?: number): Machine {
  const search = `${env.PATH ?? ""}:/sbin:/usr/sbin`;
  return {
    env,
    user: { name: userInfo().username, uid: process.getuid?.() ?? 0 },
    run([program = "", ...args], more = {}) {
      const { spawnSync } = process.getBuiltinModule("node:child_process");
      const { status, stdout, stderr } = spawnSync(program, args, {
        env: { ...env, ...more },
        encoding: "utf8",
        stdio: ["pipe", "pipe", "pipe", ...(inherited === undefined ? [] : [inherited])],
      });
      return { status: status ?? 127, output: `${stdout ?? ""}${stderr ?? ""}` };
    },
    read(path) {
      try {
        return existsSync(path) ? readFileSync(path, "utf8") : undefined;
      } catch {
        return undefined;
      }
    },
    has: (program) => findProgram(program, search) !== undefined,
  };
}
