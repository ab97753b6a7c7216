import { closeSync, readSync } from "node:fs";
import { Child } from "../launch/children.ts";
import { untilReadable } from "../launch/wait.ts";
import { pipe } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import { environmentList } from "../options/run-options.ts";

const LOOK_EVERY = 60_000; // milliseconds

/**
 * `rlkit run --wait`: starts this very command line in the background, in a session of its own, and waits until its target is
 * ready. Resolves to 0 then, or to the status with which it has ended instead. Its output goes where ours does.
 */
export async function startAndWait(): Promise<number> {
  const [ready, readyEnd] = pipe();
  const argv = process.argv.slice(2);
  const at = argv.findIndex((word) => /^--wait(=true)?$/.test(word));
  const child = Child.start({
    path: process.execPath,
    argv: [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...argv.with(at, "--ready-fd=3")],
    env: environmentList(process.env),
    fds: [-1, 1, 2, readyEnd],
    deathSignal: 0,
    newSession: true,
  });
  closeSync(readyEnd);
  while (!(await untilReadable([ready], LOOK_EVERY)).includes(ready));
  if (readSync(ready, Buffer.alloc(1)) === 1) return 0;
  return shellStatus((await child.wait(LOOK_EVERY)) ?? 0);
}
