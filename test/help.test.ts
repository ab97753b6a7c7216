import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { expectRefusal } from "./helpers/refusal.ts";
import { rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

const BOLD = "\u001b[";

async function output(words: readonly string[], options: Parameters<typeof rlkit>[2] = {}): Promise<string> {
  await using run = rlkit(user, words, options);
  const { code, stdout, stderr } = await run.result();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

const topics = readdirSync(join(import.meta.dirname, "../docs/topics")).map((file) => file.replace(".md", ""));

test("rlkit help lists commands and topics, and so do rlkit --help and rlkit alone", async () => {
  const text = await output(["help"]);
  for (const name of ["run", "ports add", "help", "completion"])
    expect(text).toMatch(new RegExp(`^ +rlkit ${name} `, "m"));
  for (const topic of topics) expect(text).toMatch(new RegExp(`^ +rlkit help ${topic} `, "m"));
  expect(await output(["--help"])).toBe(text);
  expect(await output([])).toBe(text);
});

test.each([["run"], ["idmap"], ["ports add"]])("rlkit help %s is rlkit %s --help", async (name) => {
  const words = name.split(" ");
  expect(await output(["help", ...words])).toBe(await output([...words, "--help"]));
});

test.each(topics)("rlkit help %s shows the text, in 80 columns and without colours", async (topic) => {
  const text = await output(["help", topic]);
  expect(text).not.toContain(BOLD);
  expect(text.split("\n").length).toBeGreaterThan(20);
});

test("what is a command and a topic: the command's help, then the text", async () => {
  const text = await output(["help", "restart"]);
  expect(text.startsWith(await output(["restart", "--help"]))).toBe(true);
  expect(text).toContain("Restarts, upgrades and the end");
  const group = await output(["help", "ports"]);
  expect(group.startsWith(await output(["ports", "--help"]))).toBe(true);
  expect(group).toContain("Publishing ports");
});

test("headings are bold at a terminal alone, and never with NO_COLOR", async () => {
  expect(await output(["help", "network"], { terminal: true })).toContain(`${BOLD}1mThe network inside${BOLD}0m`);
  expect(await output(["help", "network"], { terminal: true, env: { NO_COLOR: "1" } })).not.toContain(BOLD);
});

test.each([
  [["netwrok"], /"netwrok" is neither a command nor a topic of rlkit, did you mean network\?/],
  [["ports", "lost"], /did you mean ports list\?/],
  [["quux"], /the topics are ports, network, .*rlkit help lists the commands/],
])("rlkit help %j is refused with what was meant", async (words, says) => {
  await using run = rlkit(user, ["help", ...words]);
  await expectRefusal(user, run, { status: 2, says: [says] });
});

test.skipIf(!existsSync("/usr/bin/man"))("man finds the pages where rlkit link says", async () => {
  const said = await output(["link", join(user.home, "bin")]);
  const manPath = /^for the man pages: export MANPATH=(.*):\$MANPATH$/m.exec(said)?.[1];
  expect(manPath).toBe(join(tree(), "share", "man"));
  const env = { MANPATH: `${manPath}:`, MANWIDTH: "80" };
  expect(await output(["link", join(user.home, "bin")], { env })).not.toContain("MANPATH");
  for (const [section, name, words] of [
    ["1", "rlkit-run", "--net=VALUE"],
    ["1", "rlkit", "128 + n"],
    ["1", "rlkit-restart", "--state-dir=DIR"],
    ["7", "rlkit-restart", "rlkit upgrade --exec"],
  ] as const) {
    await using man = start(user, ["man", section, name], { env });
    const { code, stdout } = await man.result();
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(words) });
  }
});
