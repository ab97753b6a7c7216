import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instance, instance, said } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { commandLine, descendants, isRunning, runningProcesses } from "./helpers/processes.ts";
import { rlkit, start, tree } from "./helpers/run.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

/** Milliseconds in which everything is gone, whoever was killed. */
const SOON = 2000;

/** Leaves behind what a daemon does: a process of another session whose parent has ended, and one of another uid. */
const DAEMONIZES = `
  (setsid sleep 1001 &)
  (setpriv --reuid 1000 --regid 1000 --clear-groups setsid sleep 1002 &)
  echo ready
  read -r
  exit 7`;

const options = [
  [],
  ["--pidns"],
  ["--net=none"],
  ["--net=host"],
  ["--net=slirp4netns"],
  ["--net=slirp4netns", "--pidns", "--copy-up=/etc,/run"],
  ["--net=pasta"],
  ["--net=pasta", "--pidns"],
];

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

/** A run with two daemons in it, one of which runs under a subordinate id. */
async function withDaemons(given: readonly string[], what: (started: Instance) => Promise<void>): Promise<void> {
  await using started = await instance(user, given, DAEMONIZES);
  const daemons = await until(async () => {
    const sleeping = (await processesOf(user)).filter(({ name }) => name === "sleep");
    return sleeping.length === 2 && sleeping;
  });
  expect(new Set(daemons.map(({ uid }) => uid))).toContain(user.uid);
  expect(new Set(daemons.map(({ uid }) => uid)).size).toBe(2);
  await what(started);
}

describe.each(options.map((given) => [given] as const))("with %j nothing is left", (given) => {
  test("after the command has ended", () =>
    withDaemons(given, async ({ run }) => {
      run.write("end\n");
      expect(await run.result()).toMatchObject({ code: 7 });
      expect(await leftovers(user)).toEqual([]);
    }));

  test("after SIGTERM", () =>
    withDaemons(given, async ({ run }) => {
      run.kill("SIGTERM");
      expect(await run.result()).toMatchObject({ code: 143 });
      expect(await leftovers(user)).toEqual([]);
    }));

  test("after kill -9 of rlkit, and its state directory can be used again", () =>
    withDaemons(given, async ({ run, stateDir }) => {
      run.kill("SIGKILL");
      const remains = async () => (await leftovers(user)).filter((line) => line !== `file ${stateDir}`);
      await until(async () => (await remains()).length === 0, { deadline: SOON, what: "nothing to be left" });

      const before = performance.now();
      await using again = await instance(user, given, "echo ready; read -r");
      expect(performance.now() - before).toBeLessThan(SOON);
      expect(commandLine(again.childPid)).toBe("rlkit-ns init 3");
      expect(descendants(again.run.pid).map(({ pid }) => pid)).toContain(again.childPid);
      again.run.write("end\n");
      await again.run.result();
      expect(await leftovers(user)).toEqual([]);
    }));

  test("after kill -9 of the process in child_pid, which rlkit tells", () =>
    withDaemons(given, async ({ run, childPid: init }) => {
      process.kill(init, "SIGKILL");
      const { code, stderr } = await run.result(SOON);
      expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining("rlkit-ns init") });
      expect(await leftovers(user)).toEqual([]);
    }));
});

test("nothing is left after rlkit and the process in child_pid were both killed with -9", async () => {
  await withDaemons(["--pidns"], async ({ run, childPid: init, stateDir }) => {
    run.kill("SIGSTOP"); // so that it can do nothing about the death of the other
    process.kill(init, "SIGKILL");
    run.kill("SIGKILL");
    const remains = async () => (await leftovers(user)).filter((line) => line !== `file ${stateDir}`);
    await until(async () => (await remains()).length === 0, { deadline: SOON, what: "nothing to be left" });
  });
});

test("kill -9 of the process in child_pid is no error of its own where nobody reaps orphans", async () => {
  // As PID 1 of a container rlkit gets all orphans; they stay zombies, which are not to be taken for processes that are left.
  const root = { ...user, uid: 0, gid: 0 };
  const become = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const container = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const command = ["run", "--net=none", "--", "bash", "-c", DAEMONIZES];
  await using run = start(root, [...container, ...become, join(tree(), "bin", "rlkit"), ...command], { stdin: "pipe" });
  await said(run, "ready");
  const init = descendants(run.pid).find(({ name }) => name === "rlkit-ns");
  process.kill(init?.pid ?? 0, "SIGKILL");
  const { code, stderr } = await run.result(SOON);
  expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining("rlkit-ns init") });
  expect(await leftovers(user)).toEqual([]);
});

describe("a start that fails leaves nothing", () => {
  test.each([
    ["because there is no such command", ["--net=none", "--", "no-such-command"], 127],
    ["because there is no such command, the network being up", ["--net=slirp4netns", "--", "no-such-command"], 127],
    ["because a map can't be had", ["--uid-map=0:0:1", "--gid-map=0:0:1", "--", "true"], 125],
    ["because it is used wrongly", ["--cidr=nonsense", "--", "true"], 2],
  ])("%s", async (_, args, status) => {
    await using run = rlkit(user, ["run", ...args]);
    expect(await run.result()).toMatchObject({ code: status });
    expect(await leftovers(user)).toEqual([]);
  });
});

test("without --state-dir a directory of the run's own is made in XDG_RUNTIME_DIR, and goes with it", async () => {
  await using run = rlkit(user, ["run", "--net=none", "--", "sh", "-c", 'echo "$ROOTLESSKIT_STATE_DIR"; exit 3']);
  const { code, stdout } = await run.result();
  expect(code).toBe(3);
  expect(stdout.startsWith(join(user.runtimeDir, "rlkit-"))).toBe(true);
  expect(await leftovers(user)).toEqual([]);
});

test("without XDG_RUNTIME_DIR it is made in TMPDIR, and goes with the run", async () => {
  const env = { XDG_RUNTIME_DIR: undefined, TMPDIR: user.home };
  await using run = rlkit(user, ["run", "--net=none", "--", "sh", "-c", 'echo "$ROOTLESSKIT_STATE_DIR"'], { env });
  const { stdout } = await run.result();
  expect(stdout.startsWith(join(user.home, "rlkit-"))).toBe(true);
  await expect(stat(stdout.trim())).rejects.toMatchObject({ code: "ENOENT" });
  expect(await leftovers(user)).toEqual([]);
});

test.each([[[]], [["--pidns"]]])("an orphan inside is reaped while the command runs (%j)", async (more) => {
  await using started = await instance(user, ["--net=none", ...more], "(sleep 1003 &); echo ready; read -r; echo done");
  const init = started.childPid;
  const orphan = await until(() => runningProcesses().find(({ name, parent }) => name === "sleep" && parent === init));
  process.kill(orphan.pid, "SIGKILL");
  await until(() => zombies(init).length === 0 && !isRunning(orphan.pid), {
    deadline: SOON,
    what: "no zombie of init",
  });
  started.run.write("end\n");
  await said(started.run, "done");
});

/** Children of `parent` that have ended and wait to be reaped. */
function zombies(parent: number): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ").filter(Boolean);
  return children.map(Number).filter((pid) => !isRunning(pid));
}
