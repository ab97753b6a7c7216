import { closeSync, openSync, readSync } from "node:fs";
import { pipe } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import type { Control } from "./control.ts";

/** What a short program inside has written, standard output and error together, and how it ended (as a shell would say it). */
export interface Executed {
  status: number;
  output: string;
}

/**
 * Runs a short program inside, in the run's network namespace. What it writes must fit in a pipe (64 KiB), since it is read at the end. Throws a SyscallError
 * when it can't be executed.
 */
export async function executeInside(
  control: Control,
  argv: readonly string[],
  env: readonly string[],
): Promise<Executed> {
  const nothing = openSync("/dev/null", "r");
  const [output, outputEnd] = pipe();
  try {
    let pid: number;
    try {
      pid = await control.spawn({ argv, env, inNetwork: true, fds: [nothing, outputEnd, outputEnd] });
    } finally {
      closeSync(outputEnd);
      closeSync(nothing);
    }
    const status = shellStatus(await control.waitEnd(pid));
    const chunk = Buffer.alloc(64 * 1024);
    return { status, output: chunk.toString("utf8", 0, readSync(output, chunk)) };
  } finally {
    closeSync(output);
  }
}
