import { readdirSync } from "node:fs";
import { chmod, copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { exchange } from "./helpers/client.ts";
import { loginEnvironment } from "./helpers/environment.ts";
import { instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { type LoopbackServer, loopbackServer } from "./helpers/loopback.ts";
import { PEER, peer } from "./helpers/peer.ts";
import { type Inside, inside, portsApi } from "./helpers/ports.ts";
import { commandLine, descendants, isRunning, type Process } from "./helpers/processes.ts";
import { ROOT, start } from "./helpers/run.ts";
import { hasLogged, messages } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

/** Milliseconds in which a helper that does not answer is found out: 5 s until it is asked, twice 3 s for the answer. */
const FOUND_OUT = 15_000;

const BIG = "0123456789abcdef".repeat(2 ** 22); // 64 MB

let user: User;
let server: LoopbackServer;

beforeEach(async () => {
  user = await testUser();
  server = await loopbackServer(({ url }, response) => response.end(url === "/big" ? BIG : "hello"));
});

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** By its command line: pasta calls itself passt.avx2. */
const helperOf = (run: Inside, name: string): Process | undefined =>
  descendants(run.run.pid).find(({ pid }) => / \d+( tap0)?$/.test(commandLine(pid)) && executes(pid, name));

const executes = (pid: number, name: string): boolean =>
  commandLine(pid)
    .split(" ")
    .slice(0, 2)
    .some((word) => word.endsWith(`/${name}`)) && !commandLine(pid).startsWith("rlkit-ns ");

const guardOf = (run: Inside, name: string): Process | undefined =>
  descendants(run.run.pid).find(
    ({ pid }) => commandLine(pid).startsWith(`rlkit-ns guard 4 /`) && commandLine(pid).includes(`/${name} `),
  );

/** The helper and its guard, once rlkit watches them. */
async function parts(run: Inside, name: string): Promise<{ helper: Process; guard: Process }> {
  const helper = await until(() => helperOf(run, name), { what: name });
  const guard = await until(() => guardOf(run, name), { what: `${name}'s guard` });
  await until(async () => (await status(run)) !== undefined, { what: "the API" });
  return { helper, guard };
}

/** What a program inside gets from the server; empty if it can't be reached. */
async function fetchInside(
  run: Inside,
  path = "",
  options: readonly string[] = ["--connect-timeout", "0.1"],
): Promise<string> {
  const url = `http://10.0.2.2:${server.port}/${path}`;
  const argv = ["nsenter", "-t", String(run.childPid), "-n", "curl", "--silent", ...options, url];
  await using curl = start(ROOT, argv);
  return (await curl.result()).stdout;
}

/** Resolves when a program inside reaches the server. It never waits for long: a packet that was lost is sent again after 1 s. */
async function reached(run: Inside): Promise<void> {
  await until(async () => (await fetchInside(run)) === "hello", { every: 1, what: `a way out: ${run.run.stderr}` });
}

/** The same as `inside`, with another PATH. */
async function insideWith(PATH: string, options: readonly string[]): Promise<Inside> {
  await copyFile(PEER, join(user.home, "peer.mjs"));
  const started = await instance(user, options, 'echo ready; exec node "$HOME/peer.mjs"', { env: { PATH } });
  const dispose = () => started[Symbol.asyncDispose]();
  return { ...started, ...peer(started.run), ...portsApi(user, started.stateDir), [Symbol.asyncDispose]: dispose };
}

/** What the API says of the run. */
async function status({ stateDir }: Inside): Promise<unknown> {
  const [, answer] = await askJson({ user, socket: join(stateDir, "api.sock") }, "GET", "/v1/rlkit/status");
  return answer;
}

const timesBack = ({ run }: Inside): number =>
  messages(run, "info").filter((text) => text.includes(" is back ")).length;

/** Ends the run as a user would; nothing may be left of it. */
async function leavesNothing({ run }: Inside): Promise<void> {
  run.kill("SIGTERM");
  expect(await run.result(5000)).toMatchObject({ code: 143 });
  expect(await leftovers(user)).toEqual([]);
}

describe.each([
  ["slirp4netns", []],
  ["slirp4netns", ["--pidns"]],
  ["pasta", []],
  ["pasta", ["--pidns"]],
  ["pasta", ["--port-driver=implicit"]],
] as const)("--net=%s %j", (net, options) => {
  let run: Inside;

  beforeEach(async () => {
    run = await inside(user, [`--net=${net}`, ...options]);
    await reached(run);
  });

  afterEach(() => run?.[Symbol.asyncDispose]());

  test.each(["SIGSEGV", "SIGKILL"] as const)("%s: there is a network again", async (signal) => {
    const { helper } = await parts(run, net);
    process.kill(helper.pid, signal);
    await until(() => !isRunning(helper.pid), { every: 1 });
    await reached(run);
    await hasLogged(run.run, new RegExp(`^${net} is back after \\d+\\.\\d s$`));
    expect(messages(run.run, "warn")).toEqual([`${net} ended (signal ${signal}); starting it again`]);
    expect(messages(run.run, "error")).toEqual([]);
    await leavesNothing(run);
  });

  test("lost again and again, its guard too: each time another takes its place, and rlkit holds no more than before", async () => {
    const open = () => readdirSync(`/proc/${run.run.pid}/fd`).length;
    await parts(run, net);
    await pause(500); // the API's connection is closed
    const before = open();
    for (const victim of ["helper", "guard", "helper"] as const) {
      const {
        helper,
        guard,
        [victim]: { pid },
      } = await parts(run, net);
      process.kill(pid, "SIGKILL");
      await until(() => !isRunning(helper.pid) && !isRunning(guard.pid) && helperOf(run, net));
      await reached(run);
    }
    await until(() => open() <= before, { what: `${before} open descriptors` });
    await until(() => timesBack(run) === 3);
    expect(descendants(run.run.pid).filter(({ pid }) => executes(pid, net))).toHaveLength(1);
    await leavesNothing(run);
  });
});

describe.each(["slirp4netns", "pasta"] as const)("--net=%s", (net) => {
  test("SIGSTOP: it is found out, and there is a network again; the guard is replaced as well", async () => {
    await using run = await inside(user, [`--net=${net}`, "--pidns"]);
    await reached(run);
    const { helper, guard } = await parts(run, net);
    process.kill(helper.pid, "SIGSTOP");
    await hasLogged(run.run, new RegExp(`^${net} is back after`), FOUND_OUT);
    expect(messages(run.run, "warn")).toEqual([`${net} does not answer (stopped, or hung): starting it again`]);
    await reached(run);
    expect([helper, guard].filter(({ pid }) => isRunning(pid))).toEqual([]);
    await leavesNothing(run);
  });

  test("a stopped guard is in nobody's way: neither of the network, nor of another helper, nor of the end", async () => {
    await using run = await inside(user, [`--net=${net}`]);
    const { helper, guard } = await parts(run, net);
    process.kill(guard.pid, "SIGSTOP");
    await reached(run);
    process.kill(helper.pid, "SIGKILL");
    await hasLogged(run.run, new RegExp(`^${net} is back after`), FOUND_OUT);
    await reached(run);
    process.kill((await parts(run, net)).guard.pid, "SIGSTOP");
    await leavesNothing(run);
  });

  test("a stop that comes while the helper is away finds nothing to end, and starts nothing", async () => {
    for (const wait of [0, 5, 20, 50]) {
      await using run = await inside(user, [`--net=${net}`]);
      process.kill((await parts(run, net)).helper.pid, "SIGKILL");
      await pause(wait);
      await leavesNothing(run);
    }
  });

  test("one that has much to do is never taken for dead", async () => {
    await using run = await inside(user, [`--net=${net}`]);
    await using _load = busyLoops(4);
    await parts(run, net);
    const end = performance.now() + FOUND_OUT;
    while (performance.now() < end) {
      const answers = await Promise.all([1, 2].map(() => fetchInside(run, "big", [])));
      expect(answers.map(({ length }) => length)).toEqual([BIG.length, BIG.length]);
    }
    expect(messages(run.run, "warn")).toEqual([]);
  });
});

/** Keeps the processors busy. */
function busyLoops(count: number): AsyncDisposable {
  const loops = Array.from({ length: count }, () => start(user, ["sh", "-c", "while :; do :; done"]));
  return {
    async [Symbol.asyncDispose]() {
      for (const loop of loops) await loop[Symbol.asyncDispose]();
    },
  };
}

test("--port-driver=slirp4netns: what it forwarded is forwarded again", async () => {
  await using run = await inside(user, ["--net=slirp4netns", "--port-driver=slirp4netns"]);
  const echo = await run.listen("echo", { host: "0.0.0.0" });
  const ports = [
    await run.publish({ proto: "tcp", childPort: echo.port }),
    await run.publish({ proto: "tcp", childPort: echo.port }),
  ];
  for (const signal of ["SIGSEGV", "SIGKILL"] as const) {
    const { helper } = await parts(run, "slirp4netns");
    process.kill(helper.pid, signal);
    await until(() => timesBack(run) === (signal === "SIGSEGV" ? 1 : 2));
    for (const { spec } of ports) {
      const answer = await until(() => exchange({ port: spec.parentPort }, "hello").catch(() => ""), {
        deadline: 2000,
      });
      expect(answer).toBe("hello");
    }
    expect(await run.list()).toEqual(ports);
  }
  const [first] = ports;
  if (first !== undefined) await run.unpublish(first.id);
  expect(await run.list()).toEqual(ports.slice(1));
  await leavesNothing(run);
});

test("one that fails again and again: the run is degraded, its target untouched, and tries go on", async () => {
  const directory = join(user.home, "bin");
  const flag = join(directory, "broken");
  await mkdir(directory);
  await writeFile(
    join(directory, "slirp4netns"),
    `#!/bin/sh\n[ -e ${flag} ] && exit 3\nexec /usr/bin/slirp4netns "$@"\n`,
  );
  await chmod(join(directory, "slirp4netns"), 0o755);
  const PATH = `${directory}:${loginEnvironment(user).PATH}`;
  await using run = await insideWith(PATH, ["--net=slirp4netns"]);
  const echo = await run.listen("echo");
  const { helper } = await parts(run, "slirp4netns");
  await writeFile(flag, "");
  process.kill(helper.pid, "SIGKILL");
  const sentence = "slirp4netns failed 5 times within 60 s: no network inside until it comes back; next try in 10 s";
  await until(() => messages(run.run, "error").includes(sentence), { what: sentence });
  expect(messages(run.run, "error")).toEqual([sentence]);
  expect(await run.exchange("127.0.0.1", echo.port, "still here")).toBe("still here");
  expect(await status(run)).toMatchObject({ degraded: [sentence], network: { up: false } });
  await rm(flag);
  await hasLogged(run.run, /^slirp4netns is back after 1\d\.\d s$/);
  expect(await status(run)).toMatchObject({ degraded: [], network: { up: true, restarts: 5 } });
  await reached(run);
  await leavesNothing(run);
});
