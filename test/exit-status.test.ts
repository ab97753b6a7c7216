import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
  await writeFile(join(user.home, "text"), "no program\n", { mode: 0o644 });
  await writeFile(join(user.home, "garbage"), Buffer.from([0, 1, 2, 3]));
  await chmod(join(user.home, "garbage"), 0o755);
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function exitStatus(...args: string[]) {
  await using run = rlkit(user, args);
  const { code, signal } = await run.result();
  expect(signal).toBeNull();
  return code;
}

describe.each([[[]], [["--pidns"]]])("rlkit run %j exits with", (options) => {
  const run = (...command: string[]) => exitStatus("run", "--net=none", ...options, "--", ...command);

  test.each([0, 1, 7, 125, 255])("%i when the command does", async (status) => {
    expect(await run("sh", "-c", `exit ${status}`)).toBe(status);
  });

  test("the low eight bits of what the command says, as a shell does", async () => {
    expect(await run("bash", "-c", "exit 259")).toBe(3);
  });

  test.each([
    ["HUP", 129],
    ["INT", 130],
    ["KILL", 137],
    ["USR1", 138],
    ["SEGV", 139],
    ["TERM", 143],
    ["RTMIN", 162],
  ])("128 + n when the command dies of SIG%s", async (signal, status) => {
    expect(await run("bash", "-c", `ulimit -c 0; kill -${signal} $$`)).toBe(status);
  });

  test.each(["no-such-command", "/no/such/command", "./no-such-command"])("127 when %s is not there", async (name) => {
    expect(await run(name)).toBe(127);
  });

  test.each([
    ["a file without the x bit", "./text"],
    ["a file that is no program", "./garbage"],
    ["a directory", "/usr"],
    ["a path through a file", "./text/command"],
  ])("126 when the command is %s", async (_, command) => {
    expect(await run(command)).toBe(126);
  });

  test("the status of a command that ended before its own children did", async () => {
    expect(await run("sh", "-c", "sleep 1000 & exit 9")).toBe(9);
  });
});

describe("rlkit exits with", () => {
  test("125 when it fails itself", async () => {
    expect(await exitStatus("run", "--net=none", "--state-dir=/proc/no", "--", "true")).toBe(125);
  });

  test("2 when it is used wrongly", async () => {
    expect(await exitStatus("run", "--no-such-option", "--", "true")).toBe(2);
  });

  test("0 for help and for its version", async () => {
    expect(await exitStatus("run", "--help")).toBe(0);
    expect(await exitStatus("--version")).toBe(0);
  });
});

test("nothing is left of any of them", async () => {
  expect(await leftovers(user)).toEqual([]);
});
