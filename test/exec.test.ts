import { readlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { childPid, type Instance, instance, said } from "./helpers/instance.ts";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

const WAITS = "echo ready; read -r";
const NAMESPACES = ["user", "mnt", "net", "pid", "uts", "ipc", "cgroup"];

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

/** Where rlkit itself puts a state directory: one with another name is only found by that name. */
const stateDir = (number: number) => join(user.runtimeDir, `rlkit-${number}`);

async function exec(...args: string[]) {
  await using run = rlkit(user, ["exec", ...args]);
  return await run.result();
}

test("says so when nothing runs", async () => {
  expect(await exec("--", "true")).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(/^rlkit: nothing of this user's is running under rlkit\. To do: .*\n$/),
  });
});

test("says so when nothing runs with the state directory that was named", async () => {
  const empty = join(user.home, "empty");
  await mkdir(empty);
  expect(await exec("--state-dir", empty, "--", "true")).toMatchObject({
    code: 125,
    stderr: expect.stringContaining(`nothing runs with the state directory ${empty}`),
  });
});

test("asks for a command when there is none", async () => {
  expect(await exec()).toMatchObject({ code: 2, stderr: expect.stringContaining("no command to run") });
});

describe.each([[["--net=none"]], [["--net=none", "--pidns", "--utsns", "--ipcns", "--cgroupns"]]])(
  "in an instance with %j",
  (options) => {
    let started: Instance;

    beforeAll(async () => {
      started = await instance(user, options, WAITS, { stateDir: stateDir(1) });
    });

    afterAll(() => started?.[Symbol.asyncDispose]());

    test("a command is in init's namespaces, as root there", async () => {
      const pid = await childPid(started.stateDir);
      const links = NAMESPACES.map((name) => `/proc/self/ns/${name}`);
      const { stdout, code } = await exec("--", "sh", "-c", `readlink ${links.join(" ")}; id -u`);
      expect(code).toBe(0);
      expect(stdout.trim().split("\n")).toEqual([
        ...NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)),
        "0",
      ]);
    });

    test("its exit status, or 128 + the signal that ended it, is exec's", async () => {
      expect((await exec("--", "sh", "-c", "exit 42")).code).toBe(42);
      expect((await exec("--", "sh", "-c", "kill -KILL $$")).code).toBe(137);
    });

    test("a command that is not there is 127, one that can't be executed 126", async () => {
      expect(await exec("--", "no-such-command")).toMatchObject({
        code: 127,
        stderr: expect.stringMatching(/^rlkit: cannot run no-such-command: .*\n$/),
      });
      expect((await exec("--", "/etc")).code).toBe(126);
    });

    test("it finds the instance's state directory in its environment, and stays where it was called", async () => {
      const { stdout } = await exec("--", "sh", "-c", "echo $ROOTLESSKIT_STATE_DIR; pwd");
      expect(stdout).toBe(`${started.stateDir}\n${user.home}\n`);
    });

    test("a signal reaches it once", async () => {
      const script = "trap 'echo got TERM' TERM; echo ready; while ! read -r; do :; done";
      await using run = rlkit(user, ["exec", "--", "bash", "-c", script], { stdin: "pipe" });
      await said(run, "ready");
      run.kill("SIGTERM");
      await said(run, "got TERM");
      run.write("end\n");
      expect(await run.result()).toMatchObject({ code: 0, stdout: "ready\ngot TERM\n" });
    });
  },
);

test("asks which one when several are running, and takes the one that is named", async () => {
  await using first = await instance(user, ["--net=none"], WAITS, { stateDir: stateDir(1) });
  await using second = await instance(user, ["--net=none"], WAITS, { stateDir: stateDir(2) });
  const { code, stderr } = await exec("--", "true");
  expect(code).toBe(125);
  expect(stderr).toContain("2 instances are running");
  for (const { stateDir: named } of [first, second]) {
    expect(stderr).toContain(named);
    const { stdout } = await exec("--state-dir", named, "--", "sh", "-c", "echo $ROOTLESSKIT_STATE_DIR");
    expect(stdout).toBe(`${named}\n`);
  }
});
