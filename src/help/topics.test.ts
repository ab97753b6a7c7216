import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { commandNames, loadCommand } from "../cli/commands.ts";
import { parseMarkdown } from "./markdown.ts";
import { toText } from "./text.ts";
import { topics } from "./topics.ts";

const directory = join(import.meta.dirname, "../../docs/topics");
const names = topics.map(({ name }) => name);

test("the table has every text, and nothing else", () => {
  expect(readdirSync(directory).sort()).toEqual(names.map((name) => `${name}.md`).sort());
});

test("the commands of a topic are some", () => {
  for (const { commands } of topics) for (const command of commands) expect(commandNames).toContain(command);
});

describe.each(names)("the topic %s", (name) => {
  const source = readFileSync(join(directory, `${name}.md`), "utf8");
  const blocks = parseMarkdown(source);

  test("is short, begins with a heading, and fits into 80 columns", () => {
    expect(source.split("\n").length).toBeLessThan(60);
    expect(blocks[0]).toMatchObject({ kind: "heading", level: 1 });
    const lines = toText(blocks, { bold: false }).split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.join("\n")).not.toMatch(/`|\*\*/);
  });

  test("names commands and options that there are", async () => {
    const code = blocks.flatMap((block) => (block.kind === "code" ? block.lines : []));
    const spans = [...source.matchAll(/`(rlkit [^`]+)`/g)].map(([, words = ""]) => words);
    for (const line of [...code.filter((words) => words.startsWith("rlkit ")), ...spans]) {
      const found = await loadCommand(line.split(" ").slice(1));
      expect(found, line).toBeDefined();
      const own =
        found?.rest
          .join(" ")
          .replace(/ #.*/, "")
          .split(/(?:^| )-- /)[0] ?? "";
      for (const [, option = ""] of own.matchAll(/(?:^| )--([a-z][\w-]*)/g)) {
        expect(Object.keys(found?.command.options ?? {}), line).toContain(option);
      }
      if (found?.command.name === "help") expect(names, line).toContain(found.rest[0]);
    }
  });
});
