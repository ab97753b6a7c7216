import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort, held } from "./helpers/client.ts";
import { dockerdPid, fiveContainers, lives, startWeb } from "./helpers/containers.ts";
import { dockerd, dockerOutput, importImage } from "./helpers/docker.ts";
import { type FetchLoop, fetchLoop, type Page } from "./helpers/fetch-loop.ts";
import { childPid } from "./helpers/instance.ts";
import { isRunning } from "./helpers/processes.ts";
import { type Running, rlkit, start } from "./helpers/run.ts";
import { dockerStateDir, type Holdings, holdings, killAndAwait, messages } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const VFS = ["--storage-driver", "vfs"];
/** Killed as soon as it is ready, again and again, a daemon would soon be given up; and the pauses would grow. */
const PATIENT = ["--restart-burst=0/60", "--restart-delay=0"];
const CYCLES = 20;

describe.each([
  { with: "its default proxies", net: "slirp4netns", args: [], userlandProxy: true },
  { with: "--userland-proxy=false", net: "pasta", args: ["--userland-proxy=false"], userlandProxy: false },
])("dockerd with $with, killed with five containers running", ({ net, args, userlandProxy }) => {
  let user: User;
  let daemon: Running;
  let pages: Page[];
  let loop: FetchLoop;
  /** When dockerd was killed, in all tests so far. */
  const kills: number[] = [];

  beforeAll(async () => {
    user = await testUser();
    daemon = await dockerd(user, [...VFS, ...args], [`--net=${net}`, ...PATIENT]);
    await importImage(user);
    pages = await fiveContainers(user, { userlandProxy });
    loop = fetchLoop(pages);
    await loop.more();
  });

  afterAll(async () => {
    await loop?.stop();
    await daemon?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  const docker = (...words: string[]) => dockerOutput(user, words);
  /** What was refused or broken, but for connections that were open at a kill, where those can't be kept. */
  const failed = () => loop.failedBeside(userlandProxy ? kills : []);
  const killDockerd = async () => {
    kills.push(await killAndAwait(daemon, await dockerdPid(user)));
  };

  test("its API answers again, all five live on as they were, and no client is refused", async () => {
    const before = await lives(user);
    expect(Object.values(before).map(({ running }) => running)).toEqual(Array(5).fill(true));
    await killDockerd();
    expect(await docker("version", "--format", "{{.Server.Version}}")).toMatch(/^20\.10\./);
    expect(await lives(user)).toEqual(before);
    for (const { pid } of Object.values(before)) expect(isRunning(pid)).toBe(true);
    await loop.more(10);
    expect(failed()).toEqual([]);
    expect(messages(daemon, "error")).toEqual([]);
    const warning = /^dockerd ended \(signal SIGKILL\) after \d+\.\d s; it starts again in 0\.0 s \(restart 1\)$/;
    expect(messages(daemon, "warn")).toContainEqual(expect.stringMatching(warning));
    expect(messages(daemon, "info")).toContainEqual(expect.stringMatching(/^dockerd is ready again after \d+\.\d s$/));
  });

  test("docker exec works afterwards, and docker logs --follow goes on where it was", async () => {
    expect(await docker("exec", "stays", "echo", "still here")).toBe("still here");
    const line = () => docker("logs", "--tail", "1", "talks").then((text) => Number(/^line (\d+)$/.exec(text)?.[1]));
    const last = await line();
    await using follower = start(user, ["/usr/bin/docker", "logs", "--follow", "--tail", "0", "talks"], {
      env: { DOCKER_HOST: `unix://${user.runtimeDir}/docker.sock` },
    });
    await until(() => follower.stdout.split("\n").length > 3, { what: "the container's lines" });
    expect(Number(/^line (\d+)$/m.exec(follower.stdout)?.[1])).toBeGreaterThan(last);
  });

  test("a port that is published after the restart answers; docker rm frees it, and one from before", async () => {
    const page = await startWeb(user, "late", { userlandProxy });
    await docker("rm", "--force", "late");
    if (!userlandProxy) return; // these ports are the user's
    expect(await isFree(page.port)).toBe(true);
    const early = await startWeb(user, "early");
    await killDockerd();
    await using earlier = fetchLoop([early]);
    await earlier.more();
    await earlier.stop();
    await docker("rm", "--force", "early");
    expect(await isFree(early.port)).toBe(true);
    await loop.more();
    expect(failed()).toEqual([]);
  });

  test.runIf(userlandProxy)(
    "a container that ended while dockerd was away leaves no port, and starts again",
    async () => {
      const { port } = await startWeb(user, "goes");
      const { goes } = await lives(user);
      const pid = await dockerdPid(user);
      process.kill(pid, "SIGSTOP"); // so that it can't see the end of the container, and take the port away itself
      process.kill(goes?.pid ?? 0, "SIGKILL");
      await until(() => !isRunning(goes?.pid ?? 0));
      kills.push(await killAndAwait(daemon, pid));
      await until(() => isFree(port), { deadline: 15_000, what: "a free port" });
      await docker("start", "goes");
      await using again = fetchLoop([{ name: "goes", port }]);
      await again.more();
      await again.stop();
      await docker("rm", "--force", "goes");
      expect(await isFree(port)).toBe(true);
      await loop.more();
      expect(failed()).toEqual([]);
    },
  );

  test("what another program inside has published is dropped after a while; what the user has, stays", async () => {
    const [theirs, users] = [await freePort(), await freePort()];
    const socket = join(dockerStateDir(user), "api.sock");
    const add = ["rootlessctl", `--socket=${socket}`, "add-ports", `127.0.0.1:${theirs}:80/tcp`];
    await using inside = rlkit(user, ["exec", "--", ...add]);
    expect(await inside.result()).toMatchObject({ code: 0 });
    await using outside = rlkit(user, ["ports", "add", `127.0.0.1:${users}:80/tcp`]);
    expect(await outside.result()).toMatchObject({ code: 0 });
    const before = messages(daemon).length;
    await killDockerd();
    expect(await isFree(theirs)).toBe(false); // it waits for somebody who asks for it again
    const dropped = () =>
      messages(daemon)
        .slice(before)
        .some((msg) => /^dropped 1 published port/.test(msg));
    await until(dropped, { deadline: 15_000, what: "a line about the port that was dropped" });
    expect(await isFree(theirs)).toBe(true);
    expect(await isFree(users)).toBe(false);
    await loop.more();
    expect(failed()).toEqual([]);
  });

  test(`${CYCLES} times in a row, as soon as it is ready: all live on, and nothing of ours grows`, async () => {
    const init = await childPid(dockerStateDir(user));
    const before = await lives(user);
    let early: Holdings | undefined;
    for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
      await killDockerd();
      if (cycle === 3) early = await settled(init);
    }
    await expect.poll(() => settled(init), { timeout: 10_000 }).toEqual({ ...early, rss: expect.anything() });
    await expect.poll(async () => excess((await settled(init)).rss, early?.rss ?? {}), { timeout: 10_000 }).toEqual([]);
    expect(await lives(user)).toEqual(before);
    await loop.more();
    expect(failed()).toEqual([]);
    expect(loop.fetched).toBeGreaterThan(100);
  });

  /**
   * What the run holds when a restart is over: dockerd's containerd and, where there are any, its proxies are there again, and no
   * page is being served (each connection is a process of the web server's, and two descriptors of portd's).
   */
  async function settled(init: number): Promise<Holdings> {
    await loop.more();
    const complete = (now: Holdings) =>
      now.processes.containerd === 1 &&
      now.processes.httpd === pages.length &&
      (now.processes["docker-proxy"] ?? 0) === (userlandProxy ? pages.length : 0);
    const what = "dockerd to have all its processes";
    const now = async () => {
      const held = await holdings(user, daemon, init);
      return complete(held) && held;
    };
    return until(now, { what });
  }

  test("docker stop ends a container that has lived through all of that", async () => {
    await docker("stop", "--time=5", "stays");
    expect(await docker("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", "stays")).toBe("false 0");
  });
});

/** Whether nobody listens at a port. */
const isFree = (port: number): Promise<boolean> =>
  held(port, "127.0.0.1").then(
    async (holder) => {
      await holder[Symbol.asyncDispose]();
      return true;
    },
    () => false,
  );

/** Which of our processes have come to hold over 2 MiB more, a line each. */
const excess = (now: Record<string, number>, before: Record<string, number>): string[] =>
  Object.entries(now)
    .filter(([name, rss]) => rss > (before[name] ?? 0) + 2048)
    .map(([name, rss]) => `${name}: ${before[name]} KiB before, ${rss} KiB now`);
