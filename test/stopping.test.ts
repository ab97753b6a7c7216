import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  configureDockerd,
  dockerdPid,
  fiveContainers,
  leftBesideDocker,
  lives,
  startFarewell,
  startIdle,
} from "./helpers/containers.ts";
import { answers, dockerd, dockerOutput, IMAGE, importImage } from "./helpers/docker.ts";
import { fetchLoop } from "./helpers/fetch-loop.ts";
import { said } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { isRunning } from "./helpers/processes.ts";
import { type Running, rlkit } from "./helpers/run.ts";
import { hasLogged, messages } from "./helpers/supervised.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const VFS = ["--storage-driver", "vfs"];

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

const docker = (...words: string[]) => dockerOutput(user, words);

describe("the end of dockerd with containers that would outlive it", () => {
  test("TERM: all are told to end first, and nothing is left after 10 s", async () => {
    await using daemon = await dockerd(user, VFS);
    await importImage(user);
    const pages = await fiveContainers(user);
    const farewells = await startFarewell(user, "last");
    expect(await docker("info", "--format", "{{.LiveRestoreEnabled}}")).toBe("true");
    await using loop = fetchLoop(pages);
    await loop.more();
    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await farewells()).toEqual(["last"]);
    expect(await leftBesideDocker(user)).toEqual([]);
    expect(messages(daemon).filter((line) => line.includes("had to kill"))).toEqual([]);
  });

  test("TERM while dockerd is away: they end with rlkit", async () => {
    await using daemon = await dockerd(user, VFS, ["--restart-delay=20s"]);
    await importImage(user);
    const farewells = await startFarewell(user, "alone");
    process.kill(await dockerdPid(user), "SIGKILL");
    await hasLogged(daemon, /it starts again in 20\.0 s/);
    daemon.kill("SIGTERM");
    await daemon.result(10_000);
    expect(await farewells()).toEqual(["alone"]);
    // A killed dockerd could not remove its own.
    const own = ["docker.pid", "docker.sock"].map((name) => `file ${user.runtimeDir}/${name}`);
    expect((await leftBesideDocker(user)).filter((line) => !own.includes(line))).toEqual([]);
  });

  test("with live-restore in the user's own daemon.json: what does not end by itself is killed, and named", async () => {
    await configureDockerd(user, { "live-restore": true });
    await using daemon = await dockerd(user, VFS);
    await importImage(user);
    const farewells = await startFarewell(user, "polite");
    await docker("run", "--detach", IMAGE, "sh", "-c", "trap '' TERM; while :; do sleep 1000; done");
    daemon.kill("SIGTERM");
    await daemon.result(10_000);
    expect(await farewells()).toEqual(["polite"]);
    expect(messages(daemon, "warn")).toContainEqual(expect.stringMatching(/^had to kill: .*\bsh \(pid \d+\)/));
    expect(await leftBesideDocker(user)).toEqual([]);
  });

  test("--live-restore=false: containers end with dockerd, also when it is restarted", async () => {
    await using daemon = await dockerd(user, VFS, ["--live-restore=false"]);
    await importImage(user);
    expect(await docker("info", "--format", "{{.LiveRestoreEnabled}}")).toBe("false");
    await startIdle(user, "goes");
    process.kill(await dockerdPid(user), "SIGKILL");
    await hasLogged(daemon, /^dockerd is ready again/);
    expect((await lives(user)).goes?.running).toBe(false);
  });

  test("kill -9 of rlkit: nothing goes on for 2 s, and a new start works at once, with the same containers", async () => {
    await using daemon = await dockerd(user, VFS);
    await importImage(user);
    const pages = await fiveContainers(user);
    const before = await processesOf(user);
    daemon.kill("SIGKILL");
    await until(async () => (await processesOf(user)).length === 0, { deadline: 2000 });
    for (const { pid } of before) expect(isRunning(pid)).toBe(false);
    await using again = await dockerd(user, VFS);
    await docker("start", ...pages.map(({ name }) => name));
    await using loop = fetchLoop(pages);
    await loop.more();
    await loop.stop();
    again.kill("SIGTERM");
    expect(await again.result(15_000)).toMatchObject({ code: 0 });
    expect(await leftBesideDocker(user)).toEqual([]);
  });
});

test("with --pidns, where dockerd gets the same pid each time, the pid file of a killed one is no hindrance", async () => {
  const options = ["--pidns", "--net=none"];
  const args = [...VFS, "--bridge=none"];
  await using daemon = await dockerd(user, args, options);
  daemon.kill("SIGKILL");
  await until(async () => (await processesOf(user)).length === 0, { deadline: 2000 });
  await using again = await dockerd(user, args, options);
  expect(messages(again, "warn").filter((line) => line.startsWith("dockerd ended"))).toEqual([]);
});

/** A command that takes no notice of what it is told, in a shell. */
const STUBBORN = "trap '' TERM INT QUIT; echo ready; while :; do sleep 0.1; done";

async function stubborn(options: readonly string[], script = STUBBORN): Promise<Running> {
  const run = rlkit(user, ["run", "--net=none", ...options, "--", "sh", "-c", script]);
  await said(run, "ready");
  return run;
}

describe("a command that does not end when it is told to", () => {
  test("--stop-timeout: it is killed when its time is over, and the log says so", async () => {
    await using run = await stubborn(["--stop-timeout=700ms"]);
    const before = performance.now();
    run.kill("SIGTERM");
    expect(await run.result(5000)).toMatchObject({ code: 137 });
    expect(performance.now() - before).toBeGreaterThan(690);
    expect(messages(run, "warn")).toEqual(["sh did not end in time: killing it"]);
    expect(await leftovers(user)).toEqual([]);
  });

  test("without it has all the time that it wants", async () => {
    const script = "trap 'until [ -e go ]; do sleep 0.02; done; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    await using run = await stubborn([], script);
    run.kill("SIGTERM");
    run.kill("SIGTERM");
    await writeFile(join(user.home, "go"), "");
    expect(await run.result(5000)).toMatchObject({ code: 9 });
  });

  test("one that ends in its time is not killed", async () => {
    await using run = await stubborn(
      ["--stop-timeout=10s"],
      "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done",
    );
    run.kill("SIGTERM");
    expect(await run.result(5000)).toMatchObject({ code: 6 });
    expect(messages(run, "warn")).toEqual([]);
  });

  test("a second INT shortens its time, and more of them do not lengthen it", async () => {
    await using run = await stubborn(["--restart=on-failure", "--stop-timeout=60s"]);
    run.kill("SIGINT");
    run.kill("SIGINT");
    const again = setInterval(() => isRunning(run.pid) && run.kill("SIGINT"), 300);
    const { code } = await run.result(5000).finally(() => clearInterval(again));
    expect(code).toBe(137);
    expect(await leftovers(user)).toEqual([]);
  });

  test("kill -9 of it while it is to end is no reason to start it again", async () => {
    const script = "trap 'echo told' TERM; echo ready; while :; do sleep 0.1; done";
    await using run = await stubborn(["--restart=always", "--stop-timeout=60s"], script);
    run.kill("SIGTERM");
    await said(run, "told");
    const target = (await processesOf(user)).find(({ name }) => name === "sh") ?? expect.unreachable("no target");
    process.kill(target.pid, "SIGKILL");
    expect(await run.result(5000)).toMatchObject({ code: 137, stdout: "ready\ntold\n" });
  });
});

describe("rlkit stop", () => {
  test("ends a run from another terminal, and returns when nothing of it is left", async () => {
    const script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    await using run = await stubborn(["--restart=always"], script);
    await using stop = rlkit(user, ["stop"]);
    expect(await stop.result()).toMatchObject({ code: 0, stderr: "" });
    expect(await run.result(100)).toMatchObject({ code: 5, stdout: "ready\n" });
    expect(await leftovers(user)).toEqual([]);
  });

  test("ends dockerd with its containers", async () => {
    await using daemon = rlkit(user, ["run", "--", "dockerd", "--experimental", ...VFS]);
    await answers(user, daemon);
    await importImage(user);
    const farewells = await startFarewell(user, "told");
    await using stop = rlkit(user, ["stop"]);
    expect(await stop.result()).toMatchObject({ code: 0 });
    expect(await daemon.result(100)).toMatchObject({ code: 0 });
    expect(await farewells()).toEqual(["told"]);
    expect(await leftBesideDocker(user)).toEqual([]);
  });

  test("says that there is nothing to stop", async () => {
    await using stop = rlkit(user, ["stop"]);
    const { code, stderr } = await stop.result();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
  });
});
