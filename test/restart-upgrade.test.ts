import { chmod, copyFile, mkdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configureDockerd, dockerdPid, fiveContainers, type Life, lives } from "./helpers/containers.ts";
import { dockerd, dockerOutput, importImage } from "./helpers/docker.ts";
import { type FetchLoop, fetchLoop } from "./helpers/fetch-loop.ts";
import { type Result, type Running, rlkit } from "./helpers/run.ts";
import { messages, timesReady } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const OLD = "/usr/sbin/dockerd";

describe.each(["slirp4netns", "pasta"])(
  "a dockerd with --net=%s and five containers, of which three are being fetched",
  (net) => {
    let user: User;
    let daemon: Running;
    let loop: FetchLoop;
    let before: Record<string, Life>;
    /** When dockerd was told to end. */
    const ends: number[] = [];

    beforeAll(async () => {
      user = await testUser();
      await configureDockerd(user, { labels: ["stage=first"] });
      daemon = await dockerd(user, ["--storage-driver", "vfs"], [`--net=${net}`]);
      await importImage(user);
      loop = fetchLoop(await fiveContainers(user));
      await loop.more();
      before = await lives(user);
    });

    afterAll(async () => {
      await loop?.stop();
      await daemon?.[Symbol.asyncDispose]();
      await user?.[Symbol.asyncDispose]();
    });

    const program = async () => readlink(`/proc/${await dockerdPid(user)}/exe`);
    const info = (format: string) => dockerOutput(user, ["info", "--format", format]);

    /** Runs a command of rlkit's during which dockerd ends. */
    async function restarting(...args: string[]): Promise<Result> {
      await using command = rlkit(user, args);
      const result = await command.result();
      ends.push(performance.now());
      return result;
    }

    /** A fetch that was broken has to be explained by a command that has just ended: within it dockerd's proxies ended. */
    async function expectAllAsBefore(): Promise<void> {
      expect(await info("{{.ServerVersion}}")).toMatch(/^20\.10\./); // it is ready already
      expect(await lives(user)).toEqual(before);
      await loop.more(5);
      expect(loop.failures.filter(({ why }) => why === "ECONNREFUSED")).toEqual([]);
      // Only connections that were open when a dockerd ended can have been broken: one per page and end.
      expect(loop.failures.length).toBeLessThanOrEqual(3 * ends.length);
      expect(messages(daemon, "error")).toEqual([]);
    }

    test("rlkit restart returns when another is ready; all is as before, and no client is refused", async () => {
      const [pid, ready] = [await dockerdPid(user), timesReady(daemon)];
      expect(await restarting("restart")).toMatchObject({ code: 0, stderr: "" });
      expect(timesReady(daemon)).toBe(ready + 1);
      expect(await dockerdPid(user)).not.toBe(pid);
      expect(await program()).toBe(OLD);
      await expectAllAsBefore();
    });

    test("rlkit upgrade --exec goes on with another binary under the same clients, and stays with it", async () => {
      const copy = join(user.home, "new", "dockerd");
      await mkdir(join(user.home, "new"));
      await copyFile(OLD, copy);
      await chmod(copy, 0o755);
      expect(await restarting("upgrade", `--exec=${copy}`)).toMatchObject({ code: 0, stderr: "" });
      expect(await program()).toBe(copy);
      await expectAllAsBefore();
      process.kill(await dockerdPid(user), "SIGKILL");
      ends.push(performance.now());
      const ready = timesReady(daemon);
      await until(() => timesReady(daemon) > ready, { deadline: 15_000 });
      expect(await program()).toBe(copy);
      await expectAllAsBefore();
    });

    test("rlkit upgrade back to the first", async () => {
      expect(await restarting("upgrade", "--exec", OLD)).toMatchObject({ code: 0 });
      expect(await program()).toBe(OLD);
      await expectAllAsBefore();
    });

    test("a binary that does not work, or is none: rlkit upgrade says so, and dockerd runs as before", async () => {
      const broken = join(user.home, "broken");
      await writeFile(broken, "#!/bin/sh\nexit 3\n");
      await chmod(broken, 0o755);
      for (const [path, says] of [
        [broken, "status 3"],
        [join(user.home, "nowhere"), "nowhere"],
        [join(user.home, ".config"), ".config"],
      ] as const) {
        const { code, stderr } = await restarting("upgrade", `--exec=${path}`);
        expect(code).not.toBe(0);
        expect(stderr).toMatch(/^rlkit: .+\n$/);
        expect(stderr).toContain(says);
        await until(async () => (await info("{{.ServerVersion}}")).startsWith("20.10."), { deadline: 20_000 });
        expect(await program()).toBe(OLD);
      }
      expect(await lives(user)).toEqual(before);
    });

    test("HUP: dockerd reads its configuration again, and goes on", async () => {
      const pid = await dockerdPid(user);
      expect(await info("{{.Labels}}")).toBe("[stage=first]");
      await configureDockerd(user, { labels: ["stage=second"], debug: true });
      daemon.kill("SIGHUP");
      await until(async () => (await info("{{.Labels}} {{.Debug}}")) === "[stage=second] true");
      expect(await info("{{.LiveRestoreEnabled}}")).toBe("true");
      expect(await dockerdPid(user)).toBe(pid);
      expect(await lives(user)).toEqual(before);
    });
  },
);
