import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { PortStatus } from "../ports/driver.ts";
import { formatPortSpec, parsePortSpec } from "../ports/spec.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { instanceOption } from "./ports-options.ts";

/** What a word names: an id, or a spec as `rlkit ports add` prints it. */
const parse = (word: string): number | string =>
  /^\d+$/.test(word) ? Number(word) : formatPortSpec(parsePortSpec(word, { defaultProto: "tcp" }));

function find(wanted: number | string, ports: readonly PortStatus[]): PortStatus {
  const found = ports.find(({ id, spec }) => wanted === id || wanted === formatPortSpec(spec));
  if (found !== undefined) return found;
  const others = ports.map(({ id, spec }) => `${id} (${formatPortSpec(spec)})`);
  const some = others.length > 10 ? [...others.slice(0, 10), `${others.length - 10} more`] : others;
  const what = typeof wanted === "number" ? `with the id ${wanted}` : wanted;
  throw new RlkitError("PORT", `no port ${what} is published`, {
    hint: others.length === 0 ? "there are none at all" : `these are: ${some.join(", ")}`,
  });
}

async function run({ values, command: words }: Parsed): Promise<number> {
  if (words.length === 0) {
    throw new RlkitError("USAGE", "no port to remove", {
      hint: "rlkit ports list shows the ids: rlkit ports remove 1",
    });
  }
  const wanted = words.map(parse);
  const api = apiOf({ values });
  const ports = await api.ask<PortStatus[]>("GET", "/v1/ports");
  const ids = [...new Set(wanted.map((word) => find(word, ports).id))];
  for (const id of ids) {
    await api.ask("DELETE", `/v1/ports/${id}`);
    printed(`${id}\n`);
  }
  return 0;
}

/** `rlkit ports remove`: ends published ports, and the connections through them. */
export const command: Command = {
  name: "ports remove",
  operands: "ID|SPEC…",
  describe: "End published ports and their connections; prints the ids",
  options: instanceOption,
  optionsAnywhere: true,
  run,
};
