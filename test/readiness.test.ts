import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { freePort } from "./helpers/client.ts";
import { dockerdPid, leftBesideDocker, lives, startIdle } from "./helpers/containers.ts";
import { dockerd, dockerOutput, importImage } from "./helpers/docker.ts";
import { fakeDockerd } from "./helpers/fake-dockerd.ts";
import { leftovers } from "./helpers/left.ts";
import { notifies } from "./helpers/notify.ts";
import { isRunning } from "./helpers/processes.ts";
import { type Running, rlkit, start, tree } from "./helpers/run.ts";
import { dockerStateDir, hasLogged, messages, timesReady } from "./helpers/supervised.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const VFS = ["--storage-driver", "vfs"];

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

/** Starts a dockerd that is a stand-in, by its environment. */
const daemon = (env: Record<string, string>, options: readonly string[] = []): Running =>
  rlkit(user, ["run", "--net=none", ...options, "--", "dockerd"], { env });

/** Ends a run that goes on in the background, with `rlkit stop`. */
async function stop(): Promise<void> {
  await using stopping = rlkit(user, ["stop"]);
  expect(await stopping.result()).toMatchObject({ code: 0 });
}

describe("a daemon is ready", () => {
  test("when it answers, and the log says after how long", async () => {
    const fake = await fakeDockerd(user, { wait: true });
    await using run = daemon(fake.env);
    await until(async () => (await askStatus()).phase === "starting");
    expect(timesReady(run)).toBe(0);
    await fake.go();
    expect(await hasLogged(run, /^dockerd is ready/)).toMatch(/^dockerd is ready after \d+\.\d s$/);
    process.kill(await dockerdPid(user), "SIGKILL");
    expect(await hasLogged(run, /^dockerd is ready again/)).toMatch(/^dockerd is ready again after \d+\.\d s$/);
  });

  test("when it says so on NOTIFY_SOCKET, even where it can't be asked", async () => {
    const { env } = await fakeDockerd(user, { script: `${notifies("READY=1")}; exec sleep 1000` });
    await using run = daemon(env);
    await hasLogged(run, /^dockerd is ready after/);
  });

  test("when it is the real one", async () => {
    await using run = await dockerd(user, VFS);
    await hasLogged(run, /^dockerd is ready after \d+\.\d s$/);
    expect(timesReady(run)).toBe(1);
  });
});

/** What the API tells of a dockerd. */
async function askStatus(): Promise<{ phase: string }> {
  const api = { user, socket: join(dockerStateDir(user), "api.sock") };
  const [code, status] = await askJson<{ phase: string }>(api, "GET", "/v1/rlkit/status");
  if (code !== 200) throw new Error(`GET /v1/rlkit/status: ${code}`);
  return status;
}

describe("--ready-fd", () => {
  const rlkitPath = () => join(tree(), "bin", "rlkit");
  const ready = () => readFile(join(user.home, "ready"), "utf8");

  test("gets one newline when the daemon is ready, and no other when it is so again", async () => {
    const fake = await fakeDockerd(user, { wait: true });
    const script = 'exec "$0" run --net=none --ready-fd=3 -- dockerd 3>ready';
    await using run = start(user, ["sh", "-c", script, rlkitPath()], { env: fake.env });
    await until(async () => (await askStatus()).phase === "starting");
    expect(await ready()).toBe("");
    await fake.go();
    await until(async () => (await ready()) !== "");
    process.kill(await dockerdPid(user), "SIGKILL");
    await hasLogged(run, /^dockerd is ready again/);
    expect(await ready()).toBe("\n");
  });

  test("gets it at once for a command that does not say when it is ready; the command does not have it", async () => {
    const script =
      'exec "$0" run --net=none --ready-fd=3 -- sh -c "[ ! -e /proc/self/fd/3 ] && exec sleep 1000" 3>ready';
    await using run = start(user, ["sh", "-c", script, rlkitPath()]);
    await until(async () => (await ready()) === "\n");
    expect(isRunning(run.pid)).toBe(true);
  });

  test.each(["--ready-fd=99", "--ready-fd=1", "--ready-fd=-1", "--ready-fd=x"])("%s is refused", async (option) => {
    await using run = rlkit(user, ["run", "--net=none", option, "--", "true"]);
    expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining("--ready-fd") });
    expect(await leftovers(user)).toEqual([]);
  });
});

describe("rlkit run --wait", () => {
  test("returns when dockerd can be used; it goes on until rlkit stop", async () => {
    await using run = rlkit(user, ["run", "--wait", "--", "dockerd", "--experimental", ...VFS]);
    expect(await run.result()).toMatchObject({ code: 0 });
    expect(await dockerOutput(user, ["version", "--format", "{{.Server.Version}}"])).toMatch(/^20\.10\./);
    await stop();
    expect(await leftBesideDocker(user)).toEqual([]);
  });

  test("goes on in the background with its output where a script has sent it", async () => {
    const fake = await fakeDockerd(user);
    const script = '"$0" run --net=none --wait -- dockerd >log 2>&1 </dev/null && echo ready';
    await using run = start(user, ["sh", "-c", script, join(tree(), "bin", "rlkit")], { env: fake.env });
    expect(await run.result()).toMatchObject({ code: 0, stdout: "ready\n" });
    expect((await processesOf(user)).map(({ name }) => name)).toContain("dockerd");
    await stop();
    expect(await leftovers(user)).toEqual([]);
  });

  test.each([
    ["that ends, its status", "exit 7", ["--restart=no"], 7],
    ["that crashes in a loop, its last status", "exit 8", ["--restart-delay=1ms"], 8],
  ])("has, of a daemon %s", async (_, script, options, code) => {
    const { env } = await fakeDockerd(user, { script });
    await using run = daemon(env, ["--wait", ...options]);
    expect(await run.result()).toMatchObject({ code });
    await expect.poll(() => leftovers(user)).toEqual([]);
  });

  test("has 127 and the sentence for a command that is not there", async () => {
    await using run = rlkit(user, ["run", "--net=none", "--wait", "--", "no-such-command"]);
    expect(await run.result()).toMatchObject({ code: 127, stderr: expect.stringMatching(/^rlkit: .*no-such-command/) });
    await expect.poll(() => leftovers(user)).toEqual([]);
  });

  test("leaves alone what looks like it in the command's own words", async () => {
    await using run = rlkit(user, ["run", "--net=none", "--wait", "--", "sh", "-c", 'echo "$@"', "sh", "--wait"]);
    expect(await run.result()).toMatchObject({ code: 0 });
    await until(() => run.stdout === "--wait\n", { what: "the command's words" });
  });
});

describe("rlkit wait", () => {
  test("returns when the daemon is ready, and at once when it is so already", async () => {
    const fake = await fakeDockerd(user, { wait: true });
    await using _run = daemon(fake.env);
    await until(async () => (await askStatus()).phase === "starting");
    await using waiting = rlkit(user, ["wait"]);
    let returned = false;
    waiting.status.then(() => {
      returned = true;
    });
    // It has asked when a second one, which came later, has been asked and has given up.
    await using impatient = start(user, ["timeout", "1", join(tree(), "bin", "rlkit"), "wait"]);
    expect(await impatient.result()).toMatchObject({ code: 124 });
    expect(returned).toBe(false);
    await fake.go();
    expect(await waiting.result()).toMatchObject({ code: 0 });
    await using again = rlkit(user, ["wait"]);
    expect(await again.result()).toMatchObject({ code: 0 });
  });

  test("fails when there is nothing to wait for, or it gets never ready", async () => {
    await using nothing = rlkit(user, ["wait"]);
    const { code, stderr } = await nothing.result();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
    const { env } = await fakeDockerd(user, { script: "until [ -e fail ]; do sleep 0.02; done; exit 1" });
    await using _run = daemon(env, ["--restart=no"]);
    await until(async () => (await askStatus()).phase === "starting");
    await using waiting = rlkit(user, ["wait"]);
    await using impatient = start(user, ["timeout", "0.5", join(tree(), "bin", "rlkit"), "wait"]);
    expect(await impatient.result()).toMatchObject({ code: 124 });
    await writeFile(join(user.home, "fail"), "");
    expect((await waiting.result()).code).not.toBe(0);
  });
});

describe("--health-interval", () => {
  test("a dockerd that hangs is ended and started again; its container lives on", async () => {
    await using run = await dockerd(user, VFS, ["--health-interval=1s"]);
    await importImage(user);
    await startIdle(user, "stays");
    const before = await lives(user);
    const pid = await dockerdPid(user);
    process.kill(pid, "SIGSTOP");
    await hasLogged(run, /^dockerd did not answer within 5 s \(--health-interval\): it is ended and started again$/);
    await hasLogged(run, /^dockerd is ready again after/);
    expect(isRunning(pid)).toBe(false);
    expect(await lives(user)).toEqual(before);
    expect(messages(run, "warn")).toContainEqual(expect.stringMatching(/^dockerd ended \(signal SIGKILL\)/));
  });

  test("one that answers, or that is still starting, is left alone", async () => {
    const fake = await fakeDockerd(user, { wait: true });
    await using run = daemon(fake.env, ["--health-interval=20ms"]);
    await until(async () => (await askStatus()).phase === "starting");
    const pid = await dockerdPid(user);
    await fake.go();
    await hasLogged(run, /^dockerd is ready after/);
    // So often it has been asked when another has been asked once.
    for (let i = 0; i < 10; i += 1) expect((await askStatus()).phase).toBe("ready");
    expect(await dockerdPid(user)).toBe(pid);
    expect(messages(run, "warn").filter((line) => line.startsWith("dockerd"))).toEqual([]);
  });
});

describe("rlkit status --json", () => {
  const status = async () => {
    await using asked = rlkit(user, ["status", "--json"]);
    const { code, stdout, stderr } = await asked.result();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };

  test("tells what runs, since when, its restarts with reasons, network, ports, and memory of each process", async () => {
    const port = await freePort();
    await using run = await dockerd(user, VFS, ["--net=slirp4netns", "-p", `127.0.0.1:${port}:80`]);
    const before = await status();
    expect(before).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      stateDir: dockerStateDir(user),
      pid: run.pid,
      phase: "ready",
      degraded: [],
      target: { name: "dockerd", pid: expect.any(Number), readyAfter: expect.any(Number) },
      restarts: { policy: "on-failure", count: 0, latest: [] },
      network: { driver: "slirp4netns", up: true, restarts: 0, dns: "10.0.2.3" },
      ports: { driver: "builtin", count: 1, orphans: 0 },
    });
    expect(before.target.command.slice(0, 2)).toEqual([expect.stringMatching(/dockerd$/), "--experimental"]);
    expect(Math.abs(Date.now() - before.since)).toBeLessThan(60_000);
    expect(before.target.startedAt).toBeLessThanOrEqual(before.since);
    const names = before.processes.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["rlkit", "rlkit-ns init", "rlkit-ns portd", "slirp4netns"]);
    const running = new Set((await processesOf(user)).map(({ pid }) => pid));
    for (const { pid, rss } of before.processes) {
      expect(running).toContain(pid);
      expect(rss).toBeGreaterThan(10_000);
    }
    process.kill(await dockerdPid(user), "SIGKILL");
    await hasLogged(run, /^dockerd is ready again/);
    const after = await status();
    expect(after).toMatchObject({ phase: "ready", pid: run.pid, restarts: { count: 1 } });
    expect(after.restarts.latest).toEqual([
      { at: expect.any(Number), reason: expect.stringContaining("signal SIGKILL") },
    ]);
    expect(after.target.startedAt).toBeGreaterThan(before.target.startedAt);
    expect(after.lastLines.length).toBeGreaterThan(0);
  });

  test("says of a plain command what there is to say, also by --state-dir", async () => {
    const stateDir = join(user.home, "state");
    await using _run = rlkit(user, ["run", `--state-dir=${stateDir}`, "--net=none", "--", "sleep", "1000"]);
    const now = await until(status);
    expect(now).toMatchObject({
      stateDir,
      phase: "ready",
      target: { name: "sleep", command: ["sleep", "1000"] },
      restarts: { policy: "no", count: 0 },
      network: { driver: "none", up: false, dns: null },
      lastLines: [],
    });
  });
});
