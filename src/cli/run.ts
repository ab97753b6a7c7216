import { fstatSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { configureLog } from "../log.ts";
import { shellStatus } from "../native/capture.ts";
import { resolveRunOptions } from "../options/run-options.ts";
import { runToEnd } from "../supervisor/run.ts";
import type { Command } from "./command.ts";
import { type Parsed, runOptions } from "./options.ts";

async function run(parsed: Parsed): Promise<number> {
  const options = resolveRunOptions(parsed, process.env, process.cwd());
  if (parsed.values.wait === true) return await (await import("./run-wait.ts")).startAndWait();
  configureLog(options.log);
  checkReadyFd(options.supervision.readyFd);
  return shellStatus(await runToEnd(options));
}

function checkReadyFd(fd: number | undefined): void {
  try {
    if (fd !== undefined) fstatSync(fd);
  } catch (cause) {
    throw new RlkitError("USAGE", `--ready-fd=${fd}: this descriptor is not open`, {
      hint: "hand it over: rlkit run --ready-fd=3 … 3>FILE",
      cause,
    });
  }
}

export const command: Command = {
  name: "run",
  operands: "[--] CMD [ARG…]",
  describe: "Run a command, dockerd above all, in namespaces of its own",
  options: runOptions,
  run,
};
