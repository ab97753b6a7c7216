import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Running, rlkit } from "./run.ts";
import type { User } from "./user.ts";
import { until } from "./wait.ts";

/** A run of rlkit whose command has said "ready". */
export interface Instance extends AsyncDisposable {
  readonly run: Running;
  readonly stateDir: string;
  /** What `child_pid` says: the pid of `rlkit-ns init`. */
  readonly childPid: number;
}

interface InstanceOptions {
  readonly stateDir?: string;
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Starts `script` in a shell under rlkit; it is to say "ready". It can be written to (`run.write`). */
export async function instance(
  user: User,
  options: readonly string[],
  script: string,
  { stateDir = join(user.runtimeDir, "state"), ...how }: InstanceOptions = {},
): Promise<Instance> {
  const run = rlkit(user, ["run", `--state-dir=${stateDir}`, ...options, "--", "bash", "-c", script], {
    stdin: "pipe",
    ...how,
  });
  const dispose = () => run[Symbol.asyncDispose]();
  try {
    await said(run, "ready");
    return { run, stateDir, childPid: await childPid(stateDir), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Resolves when the run has written `words` to its standard output; throws at once when it ends instead. */
export async function said(run: Running, words: string): Promise<void> {
  let ended = false;
  run.status.then(() => {
    ended = true;
  });
  await until(() => run.stdout.includes(words) || ended, { what: `${words} on standard output` });
  if (!run.stdout.includes(words)) throw new Error(`it ended without ${words}: ${run.stdout}${run.stderr}`);
}

/** The pid in a state directory. */
export async function childPid(stateDir: string): Promise<number> {
  return Number(await readFile(join(stateDir, "child_pid"), "utf8"));
}
