import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import { formatSeconds } from "../supervisor/format.ts";
import type { Command } from "./command.ts";
import { apiOf, restart } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

/** The path of a program that can be executed. Throws a USAGE error. */
function programOf(given: string | undefined): string {
  const hint = "say which program: rlkit upgrade --exec /usr/local/bin/dockerd";
  if (given === undefined || given === "") throw new RlkitError("USAGE", "upgrade needs --exec", { hint });
  const path = resolve(given);
  try {
    if (!statSync(path).isFile()) throw new RlkitError("USAGE", `--exec=${path} is not a file`, { hint });
    accessSync(path, constants.X_OK);
  } catch (cause) {
    if (cause instanceof RlkitError) throw cause;
    const why = (cause as NodeJS.ErrnoException).code === "EACCES" ? "can't be executed" : "is not there";
    throw new RlkitError("USAGE", `--exec=${path} ${why}`, { hint, cause });
  }
  return path;
}

async function run(parsed: Parsed): Promise<number> {
  noWords("upgrade", parsed.command);
  const program = programOf(parsed.values.exec as string | undefined);
  const began = performance.now();
  await restart(apiOf(parsed), program);
  return printed(`${program} is ready after ${formatSeconds(performance.now() - began)}\n`);
}

/** `rlkit upgrade`: goes on with another program of the same kind. One that does not get ready is replaced by the former. */
export const command: Command = {
  name: "upgrade",
  operands: "",
  describe: "Restart into another dockerd; goes back if that does not get ready",
  options: { ...instanceOption, exec: { type: "string", completes: "file", describe: "the new program" } },
  optionsAnywhere: true,
  run,
};
