import type { Command } from "./command.ts";
import { execInside } from "./exec.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  noWords("shell", words);
  // For whoever wants a prompt that says where it is.
  return await execInside(values, [process.env.SHELL || "/bin/sh"], { RLKIT_SHELL: "1" });
}

/** `rlkit shell`: a shell inside. */
export const command: Command = {
  name: "shell",
  operands: "",
  describe: "Start a shell ($SHELL) in the namespaces of a running instance",
  options: instanceOption,
  run,
};
