import { chmod, copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loginEnvironment } from "./environment.ts";
import type { User } from "./user.ts";

const FIXTURE = join(import.meta.dirname, "..", "fixtures", "dockerd.cjs");

/** A small program that stands for dockerd, or a shell script that does. */
export interface FakeDockerd {
  /** In which `dockerd` is this program. */
  readonly env: Record<string, string>;
  /** Lets it answer, if it was told to wait. */
  go(): Promise<void>;
  /** The signals that it got, in their order. */
  signals(): Promise<string[]>;
}

/** Puts one into the user's home. With `wait` it does not answer before `go`. */
export async function fakeDockerd(
  user: User,
  { wait = false, script }: { wait?: boolean; script?: string } = {},
): Promise<FakeDockerd> {
  const file = join(user.home, "dockerd");
  const version = '[ "$1" = --version ] && exec echo "Docker version 20.10.99, build fake"';
  if (script === undefined) await copyFile(FIXTURE, file);
  else await writeFile(file, `#!/bin/sh\n${version}\n${script}\n`);
  await chmod(file, 0o755);
  const gate = join(user.home, "wait");
  if (wait) await writeFile(gate, "");
  return {
    env: { PATH: `${user.home}:${loginEnvironment(user).PATH}` },
    go: () => rm(gate),
    signals: () =>
      readFile(join(user.home, "seen"), "utf8").then(
        (text) => text.trim().split("\n"),
        () => [],
      ),
  };
}
