import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { groups, loadAllCommands } from "../cli/commands.ts";
import { topics } from "../help/topics.ts";
import { manPages } from "./pages.ts";
import { escapeRoff } from "./roff.ts";

const top = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(top, path), "utf8");
const commands = await loadAllCommands();
const pages = manPages({
  version: "1.2.3",
  commands,
  groups,
  topics: topics.map((topic) => ({ ...topic, text: read(`docs/topics/${topic.name}.md`) })),
  readme: read("README.md"),
});

test("there is a page for rlkit, and for each command, group and topic", () => {
  const names = pages.map(({ name, section }) => `${name}(${section})`);
  expect(names.sort()).toEqual(
    [
      "rlkit(1)",
      ...[...Object.keys(groups), ...commands.map(({ name }) => name)].map(
        (name) => `rlkit-${name.replace(" ", "-")}(1)`,
      ),
      ...topics.map(({ name }) => `rlkit-${name}(7)`),
    ].sort(),
  );
});

test.each(commands)("the page of $name has all of its options, with their choices", ({ name, options }) => {
  const page = pages.find((each) => each.section === 1 && each.name === `rlkit-${name.replace(" ", "-")}`);
  const entries = page?.text.split(/^\.TP\n/m) ?? [];
  for (const [option, { choices = [], alias }] of Object.entries(options)) {
    const entry = entries.find((each) => each.split("\n", 1)[0]?.includes(`\\fB${escapeRoff(`--${option}`)}\\fR`));
    expect(entry, option).toBeDefined();
    if (alias !== undefined) expect(entry).toContain(`\\fB\\-${alias}\\fR`);
    for (const choice of choices) expect(entry).toContain(`\\fB${escapeRoff(choice)}\\fR`);
  }
});

test("rlkit(1) has what the README says about files, environment and exit status", () => {
  const text = pages.find(({ name }) => name === "rlkit")?.text;
  for (const words of ["child_pid", "RLKIT_NODE", "128 + n if signal n"]) expect(text).toContain(words);
  expect(text).not.toContain("npm run");
});

test("a README without such a section is an error, not a page without it", () => {
  const make = () => manPages({ version: "1", commands: [], groups: {}, topics: [], readme: "# rlkit\n\nText.\n" });
  expect(make).toThrow("README.md has no section Exit status");
});

test.each([
  ["--net", "\\-\\-net"],
  ["a\\b", "a\\eb"],
  ["'tis", "\\(aqtis"],
  [".profile", "\\&.profile"],
  ["ARG…", "ARG..."],
  ["é", "\\[u00E9]"],
  ['~/"x"^`', "\\(ti/\\(dqx\\(dq\\(ha\\(ga"],
])("roff shows %j unchanged: %j", (text, roff) => {
  expect(escapeRoff(text)).toBe(roff);
});

describe.each(pages)("$name($section)", ({ text }) => {
  test("has known requests alone, and nothing but ASCII", () => {
    const requests = new Set([...text.matchAll(/^[.'](\w*)/gm)].map(([, name]) => name));
    for (const name of requests) expect(["TH", "SH", "SS", "PP", "TP", "IP", "RS", "RE", "nf", "fi"]).toContain(name);
    expect(text).toMatch(/^[\n\x20-\x7e]+$/);
  });

  test.skipIf(!existsSync("/usr/bin/groff"))("groff has no warnings, and shows it in 80 columns", () => {
    const args = ["-ww", "-man", "-Tascii", "-P-cbou"];
    const { stdout, stderr, status } = spawnSync("groff", args, { input: text, encoding: "utf8" });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    expect(stdout).toContain("NAME\n       rlkit");
    // Code is not broken: what is in 80 columns in the help has 7 more here.
    expect(stdout.split("\n").filter((line) => line.length > 87)).toEqual([]);
  });

  test.skipIf(!existsSync("/usr/bin/mandoc"))("mandoc has nothing against it but that it has no date", () => {
    const { stdout } = spawnSync("mandoc", ["-Tlint", "-Wwarning"], { input: text, encoding: "utf8" });
    expect(stdout.split("\n").filter((line) => !/^$|missing date/.test(line))).toEqual([]);
  });
});
