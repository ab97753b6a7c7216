import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function stderrOf(...options: string[]): Promise<string> {
  await using run = rlkit(user, ["run", "--net=slirp4netns", ...options, "--", "true"]);
  const { code, stderr } = await run.result();
  expect(code).toBe(0);
  return stderr;
}

const parsed = (lines: string) =>
  lines
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("is JSON lines on standard error when that is no terminal", async () => {
  const lines = parsed(await stderrOf());
  expect(lines).toContainEqual({
    level: "info",
    time: expect.any(Number),
    msg: "network: slirp4netns, asked for; ports: builtin",
  });
});

test("holds no debug lines unless asked for, and then the helper's own output with its name", async () => {
  expect(await stderrOf()).not.toContain('"debug"');
  const lines = parsed(await stderrOf("--log-level=debug"));
  expect(lines).toContainEqual(expect.objectContaining({ level: "debug", helper: "slirp4netns" }));
});

test("is empty with --log-level=error when nothing is wrong", async () => {
  expect(await stderrOf("--log-level=error")).toBe("");
});

test("goes to --log-file, after what is there, and standard error stays empty", async () => {
  const file = join(user.home, "rlkit.log");
  expect(await stderrOf(`--log-file=${file}`)).toBe("");
  expect(await stderrOf(`--log-file=${file}`)).toBe("");
  expect(parsed(await readFile(file, "utf8")).map(({ msg }) => msg)).toEqual(
    Array(2).fill("network: slirp4netns, asked for; ports: builtin"),
  );
});
