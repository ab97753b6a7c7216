import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { copyTree } from "../test/helpers/tree.ts";
import { removeStaleUsers, testUser } from "../test/helpers/user.ts";
import { type Comparison, compare } from "./compare/compare.ts";

const USAGE = `npm run compare [-- [--peer DIR] [--only TEXT] [--write]]
Does the same with RootlessKit's programs and with rlkit under their names, and lists what differs (as root, after npm run build).
DIR holds rootlesskit and rootlessctl (/usr/bin); TEXT is part of a case's name; --write puts the table into docs/compatibility.md.
The status is 1 if there is a difference that scripts/compare/differences.ts does not explain, or an explanation of none.`;

const { values } = parseArgs({
  options: {
    peer: { type: "string", default: "/usr/bin" },
    only: { type: "string" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const indent = (mark: string, text: string): string => text.replace(/^/gm, `  ${mark} `).replace(/$/, "\n");

const [BEGIN, END] = ["<!-- differences -->", "<!-- /differences -->"];

if (values.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  await removeStaleUsers();
  await using user = await testUser();
  await using tree = await copyTree();
  const result = await compare(user, { theirs: values.peer, ours: join(tree.path, "bin") }, values.only);
  for (const { id, parts } of result.unexplained) {
    console.log(`\n### ${id}`);
    for (const { name, theirs, ours } of parts) console.log(`${name}:\n${indent("-", theirs)}${indent("+", ours)}`);
  }
  for (const { what } of result.outdated) console.log(`\nNothing is to be seen of: ${what}`);
  const explained = [...result.known.values()].filter((count) => count > 0).length;
  const { unexplained, outdated } = result;
  console.log(
    `\n${result.cases} cases; known differences: ${explained}; cases that differ otherwise: ${unexplained.length}; outdated: ${outdated.length}`,
  );
  if (values.write) write(result);
  process.exitCode = unexplained.length + outdated.length > 0 ? 1 : 0;
}

/** The table, between its marks in the document. */
function write({ cases, known }: Comparison): void {
  const path = join(dirname(import.meta.dirname), "docs", "compatibility.md");
  const text = readFileSync(path, "utf8");
  const rows = [...known].map(([{ what, why }, count]) => `| ${what} | ${why} | ${count} |`);
  const table = [
    "| rlkit | why | cases |",
    "| --- | --- | --- |",
    ...rows,
    "",
    `Of ${cases} cases; all others are the same.`,
  ];
  const [before = "", rest = ""] = text.split(BEGIN);
  writeFileSync(path, `${before}${BEGIN}\n\n${table.join("\n")}\n\n${END}${rest.split(END)[1] ?? ""}`);
}
