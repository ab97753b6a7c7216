import { RlkitError } from "../errors.ts";
import { configureLog } from "../log.ts";
import { shellStatus } from "../native/capture.ts";
import { runToEnd } from "../supervisor/run.ts";
import type { Command } from "./command.ts";
import { configured } from "./configured.ts";
import { type Parsed, runOptions } from "./options.ts";
import { resolveRun } from "./resolve-run.ts";

async function run(given: Parsed): Promise<number> {
  const parsed = await configured(given);
  const options = await resolveRun(parsed);
  if (parsed.values.scope === true) (await import("./scope.ts")).enterScope(options);
  if (parsed.values.wait === true) {
    if (options.activation !== undefined) {
      throw new RlkitError("USAGE", "--wait does not go with sockets of a service manager (LISTEN_FDS)", {
        hint: "a service manager needs no --wait: it is told when the target is ready",
      });
    }
    return await (await import("./run-wait.ts")).startAndWait();
  }
  configureLog(options.log);
  return shellStatus(await runToEnd(options));
}

export const command: Command = {
  name: "run",
  operands: "[--] CMD [ARG…]",
  completes: "program",
  describe: "Run a command, dockerd above all, in namespaces of its own",
  options: runOptions,
  run,
};
