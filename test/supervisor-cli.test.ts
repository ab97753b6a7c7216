import { existsSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Status } from "../src/supervisor/status.ts";
import { childPid, instance } from "./helpers/instance.ts";
import { isRunning } from "./helpers/processes.ts";
import { type Result, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function command(...args: string[]): Promise<Result> {
  await using running = rlkit(user, args);
  return await running.result(30_000);
}

const status = async (): Promise<Status> => JSON.parse((await command("status", "--json")).stdout);

/** A target that lives until it is told to end. */
const STAYS = "echo ready; sleep 1000 & wait $!";

describe("where nothing runs", () => {
  test.each([
    ["status", 3],
    ["stop", 125],
    ["restart", 125],
    ["wait", 125],
  ])("%s says so, with status %i", async (name, code) => {
    const result = await command(name);
    expect(result).toMatchObject({ code, stdout: "" });
    expect(result.stderr).toMatch(/^rlkit: nothing of this user's is running under rlkit\. To do: .*\n$/);
  });

  test("wait --timeout waits for something to come, and no longer", async () => {
    const result = await command("wait", "--timeout=300ms");
    expect(result).toMatchObject({ code: 125, stdout: "" });
    expect(result.stderr).toContain("nothing of this user's is running");
  });
});

test.each([
  [["status", "x"], "rlkit status takes no arguments"],
  [["status", "--interval=0"], "--interval=0 is too small"],
  [["stop", "x"], "rlkit stop takes no arguments"],
  [["wait", "--timeout=soon"], "--timeout=soon is no duration"],
  [["upgrade"], "upgrade needs --exec"],
  [["upgrade", "--exec=/none"], "--exec=/none is not there"],
  [["upgrade", "--exec=/etc"], "--exec=/etc is not a file"],
  [["upgrade", "--exec=/etc/passwd"], "--exec=/etc/passwd can't be executed"],
  [["run", "--restart=sometimes", "true"], "--restart=sometimes is no restart policy"],
  [["run", "--restart=always:3", "true"], "--restart=always:3 is no restart policy"],
  [["run", "--restart-burst=5", "true"], "--restart-burst=5 is not like 5/60"],
  [["run", "--stop-timeout=1h", "true"], "--stop-timeout=1h is no duration"],
  [["run", "--ready-fd=1", "true"], "--ready-fd=1 is no descriptor that can be waited for"],
  [["run", "--ready-fd=77", "true"], "--ready-fd=77: this descriptor is not open"],
])("%j is a wrong command line", async (args, says) => {
  const { code, stdout, stderr } = await command(...args);
  expect({ code, stdout, lines: stderr.trimEnd().split("\n").length }).toEqual({ code: 2, stdout: "", lines: 1 });
  expect(stderr).toContain(says);
});

describe("of a running instance", () => {
  test("status shows it to people, at 80 columns and without colours", async () => {
    await using running = await instance(user, ["--net=none", "-p", "127.0.0.1:0:80"], STAYS);
    const { code, stdout, stderr } = await command("status");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^target {5}bash \(pid \d+\) ready; up \d+\.\d s/);
    expect(stdout).toMatch(/^restarts {3}0 \(policy no\)$/m);
    expect(stdout).toMatch(/^network {4}none$/m);
    expect(stdout).toMatch(/^ports {6}1 \(builtin\)$/m);
    expect(stdout).toContain(running.stateDir);
    expect(stdout).toMatch(/^ 1 {2}tcp {4}127\.0\.0\.1:\d+ {2}127\.0\.0\.1:80/m);
    expect(stdout).not.toContain("\x1b");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("status --json tells it to programs", async () => {
    await using running = await instance(user, ["--net=slirp4netns", "--restart=always"], STAYS);
    const told = await status();
    expect(told).toMatchObject({
      stateDir: running.stateDir,
      pid: running.run.pid,
      phase: "ready",
      degraded: [],
      target: { name: "bash", command: ["bash", "-c", STAYS] },
      restarts: { policy: "always", count: 0, latest: [] },
      network: { driver: "slirp4netns", up: true, restarts: 0, dns: "10.0.2.3" },
      ports: { driver: "builtin", count: 0, orphans: 0 },
      lastLines: [],
    });
    expect(isRunning(told.target.pid ?? 0)).toBe(true);
    expect(Math.abs(Date.now() - (told.target.startedAt ?? 0))).toBeLessThan(20_000);
    const names = told.processes.map(({ name }) => name);
    expect(names).toEqual(["rlkit", "rlkit-ns init", "slirp4netns"]);
    for (const { pid, rss } of told.processes) expect([isRunning(pid), (rss ?? 0) > 0]).toEqual([true, true]);
  });

  test("status --watch --json goes on until its reader has gone or a signal comes", async () => {
    await using _running = await instance(user, ["--net=none"], STAYS);
    await using watching = rlkit(user, ["status", "--watch", "--json"]);
    await until(() => watching.stdout.split("\n").length > 2, { what: "two looks" });
    watching.kill("SIGINT");
    expect(await watching.result()).toMatchObject({ code: 130, stderr: "" });
    for (const line of watching.stdout.trimEnd().split("\n"))
      expect(JSON.parse(line)).toMatchObject({ phase: "ready", time: expect.any(String) });
  });

  test("restart starts the target again, in the same namespaces; its reason is told", async () => {
    await using running = await instance(user, ["--net=none"], STAYS);
    const before = await status();
    expect(await command("restart")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^bash is ready again after \d\.\d s\n$/),
    });
    const after = await status();
    expect(after).toMatchObject({ pid: before.pid, restarts: { count: 1, latest: [{ reason: "asked for" }] } });
    expect(after.target.pid).not.toBe(before.target.pid);
    expect(isRunning(before.target.pid ?? 0)).toBe(false);
    expect(await childPid(running.stateDir)).toBe(running.childPid);
  });

  test("upgrade goes on with another program, and back to the former if that does not work", async () => {
    await using _running = await instance(user, ["--net=none", "--restart=on-failure"], STAYS);
    const other = join(user.home, "other-shell");
    await writeFile(other, "#!/bin/sh\nsleep 1000 & wait $!\n");
    await chmod(other, 0o755);
    expect(await command("upgrade", `--exec=${other}`)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^${other} is ready after \\d\\.\\d s\n$`)),
    });
    expect((await status()).target).toMatchObject({ name: "other-shell", command: [other, "-c", STAYS] });
    await writeFile(join(user.home, "nonsense"), "this is no program");
    await chmod(join(user.home, "nonsense"), 0o755);
    const failed = await command("upgrade", `--exec=${join(user.home, "nonsense")}`);
    expect(failed).toMatchObject({ code: 125, stdout: "" });
    expect(failed.stderr).toMatch(/nonsense did not work: it could not be started .*other-shell runs again/);
    expect((await status()).target).toMatchObject({ name: "other-shell" });
  });

  test("stop returns when all of it is gone", async () => {
    await using running = await instance(user, ["--net=slirp4netns"], STAYS);
    expect(await command("stop")).toMatchObject({ code: 0, stdout: "stopped bash\n", stderr: "" });
    expect(existsSync(running.stateDir)).toBe(false);
    expect(isRunning(running.childPid)).toBe(false);
    expect(await running.run.result()).toMatchObject({ code: 143 });
  });

  test("wait returns at once where it is ready, also for one that is still to come", async () => {
    await using waiting = rlkit(user, ["wait", "--timeout=20s", `--state-dir=${join(user.runtimeDir, "state")}`]);
    await using _running = await instance(user, ["--net=none"], STAYS);
    expect(await waiting.result()).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(await command("wait")).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });
});

describe("run --wait", () => {
  test("returns when the target is ready, which goes on", async () => {
    expect(await command("run", "--wait", "--net=none", "--", "sleep", "1000")).toMatchObject({ code: 0 });
    expect(await status()).toMatchObject({ phase: "ready", target: { name: "sleep" } });
    expect(await command("stop")).toMatchObject({ code: 0 });
  });

  test.each<[string[], number]>([
    [["no-such-command"], 127],
    [["--net=nonsense", "true"], 2],
  ])("%j: returns the status of what did not come up", async (args, code) => {
    const result = await command("run", "--wait", ...args);
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(/^rlkit: /);
  });
});
