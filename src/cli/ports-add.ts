import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { PortStatus } from "../ports/driver.ts";
import { formatPortSpec, parsePortSpec } from "../ports/spec.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { instanceOption, jsonOption } from "./ports-options.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  if (words.length === 0) {
    throw new RlkitError("USAGE", "no port to publish", { hint: "say which: rlkit ports add 127.0.0.1:8080:80/tcp" });
  }
  const specs = words.map((word) => parsePortSpec(word, { defaultProto: "tcp" }));
  const api = apiOf({ values });
  const added = await api.ask<PortStatus[]>("POST", "/v1/ports", specs);
  if (values.json === true) return printed(`${JSON.stringify(added, null, 2)}\n`);
  return printed(added.map(({ id, spec }) => `${id} ${formatPortSpec(spec)}\n`).join(""));
}

/** `rlkit ports add`: publishes ports of a running instance, all or none. */
export const command: Command = {
  name: "ports add",
  operands: "[HOSTIP]:PORT[:IP]:INNERPORT[/PROTO]…",
  describe: "Publish ports, all or none; PORT 0 picks a free one",
  options: { ...instanceOption, ...jsonOption },
  optionsAnywhere: true,
  run,
};
