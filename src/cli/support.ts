import { basename, resolve } from "node:path";
import { printed } from "../output.ts";
import { pieces } from "../support/pieces.ts";
import { redact } from "../support/redact.ts";
import { type Entry, writeTarball } from "../support/tarball.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

async function run(parsed: Parsed): Promise<number> {
  noWords("support", parsed.command);
  const stamp = new Date()
    .toISOString()
    .replaceAll(/[-:]|\.\d+Z/g, "")
    .replace("T", "-");
  const path = resolve((parsed.values.output as string | undefined) ?? `rlkit-support-${stamp}.tar.gz`);
  const entries: Entry[] = [];
  const failed: string[] = [];
  for (const { name, get } of pieces(process.env, () => apiOf(parsed))) {
    try {
      entries.push({ name, text: redact(await get()) });
    } catch (error) {
      failed.push(`${name}: ${redact((error as Error).message)}\n`);
    }
  }
  if (failed.length > 0) entries.push({ name: "errors.txt", text: failed.join("") });
  await writeTarball(path, basename(path).replace(/\.t(ar\.)?gz$/, ""), entries);
  const names = entries.map(({ name }) => `  ${name}\n`).join("");
  return printed(
    `${names}Written to ${path}. What looks like a secret was taken out; look through it before you send it.\n`,
  );
}

/** `rlkit support`: what a bug report needs. */
export const command: Command = {
  name: "support",
  operands: "",
  describe: "Write a tarball for a bug report: versions, check, plan, status, log, settings; without secrets",
  options: {
    ...instanceOption,
    output: { type: "string", alias: "o", completes: "file", describe: "where to (./rlkit-support-DATE.tar.gz)" },
  },
  optionsAnywhere: true,
  run,
};
