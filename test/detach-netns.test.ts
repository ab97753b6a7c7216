import { lstat, readlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instance, instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { commandLine, descendants, isRunning } from "./helpers/processes.ts";
import { ROOT, rlkit, start } from "./helpers/run.ts";
import { hasLogged, messages } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";
import { webServer } from "./helpers/web.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user?.[Symbol.asyncDispose]());

/** A run with a detached network namespace; its command stays. */
const detached = (...options: string[]): Promise<Instance> =>
  instance(user, ["--detach-netns", ...options], "echo ready; read -r");

/** What a command in the network namespace of a run writes, as somebody inside starts it. */
async function inNetwork({ stateDir }: Instance, ...command: string[]): Promise<string> {
  const enter = ["nsenter", `--net=${join(stateDir, "netns")}`, ...command];
  await using run = rlkit(user, ["exec", `--state-dir=${stateDir}`, "--", ...enter]);
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout;
}

async function ends({ run }: Instance): Promise<void> {
  run.write("\n");
  expect(await run.result()).toMatchObject({ code: 0 });
  expect(await leftovers(user)).toEqual([]);
}

describe.each([{ more: [] }, { more: ["--pidns"] }])("with $more", ({ more }) => {
  test("the command stays in the host's network namespace; the new one is a file, readable by nobody else", async () => {
    await using run = await detached("--net=none", ...more);
    expect(await readlink(`/proc/${run.childPid}/ns/net`)).toBe(await readlink("/proc/self/ns/net"));
    const file = await lstat(join(run.stateDir, "netns"));
    expect([file.isFile(), file.size, file.mode & 0o777, file.uid]).toEqual([true, 0, 0o400, user.uid]);
    expect(await inNetwork(run, "readlink", "/proc/self/ns/net")).not.toBe(await readlink("/proc/self/ns/net"));
    expect(await inNetwork(run, "ip", "-br", "address", "show", "lo")).toMatch(/127\.0\.0\.1\/8/);
    await ends(run);
  });

  test.each(["slirp4netns", "pasta"])("--net=%s is connected there; /sys and /etc stay the host's", async (net) => {
    await using run = await detached(`--net=${net}`, "--copy-up=/etc", "--copy-up=/run", ...more);
    expect(await inNetwork(run, "ip", "-br", "-4", "address", "show", "dev", "tap0")).toMatch(/10\.0\.2\.100\/24/);
    await using web = await webServer("a page");
    expect(await inNetwork(run, "curl", "--silent", "--max-time", "5", web.url)).toBe("a page");
    expect(await inNetwork(run, "cat", join(run.stateDir, "resolv.conf"))).toBe("nameserver 10.0.2.3\n");
    expect(await inNetwork(run, "cat", "/proc/self/mountinfo")).not.toMatch(/ \/etc\/resolv\.conf /);
    await ends(run);
  });

  test("published ports lead into it", async () => {
    const options = ["--net=slirp4netns", "--publish=127.0.0.1:0:80", ...more];
    await using run = await detached(...options);
    await using served = rlkit(user, [
      ...["exec", `--state-dir=${run.stateDir}`, "--", "nsenter", `--net=${join(run.stateDir, "netns")}`],
      ...["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"],
    ]);
    const port = await until(() => /published 127\.0\.0\.1:(\d+):/.exec(run.run.stderr)?.[1]);
    const page = await until(async () => await (await fetch(`http://127.0.0.1:${port}/hostname`)).text());
    expect(page.length).toBeGreaterThan(0);
    served.kill("SIGTERM");
    await ends(run);
  });
});

test.each(["slirp4netns", "pasta"])("--net=%s, lost, comes back into the same namespace", async (net) => {
  await using web = await webServer("a page");
  await using run = await detached(`--net=${net}`);
  expect(await inNetwork(run, "curl", "--silent", web.url)).toBe("a page");
  const helper = descendants(run.run.pid).find(({ pid }) => commandLine(pid).startsWith(`/usr/bin/${net} `));
  process.kill(helper?.pid ?? expect.unreachable(), "SIGKILL");
  await until(() => !isRunning(helper?.pid ?? 0));
  await hasLogged(run.run, new RegExp(`^${net} is back after`));
  expect(await inNetwork(run, "curl", "--silent", web.url)).toBe("a page");
  expect(messages(run.run, "error")).toEqual([]);
  await ends(run);
});

test("kill -9 of rlkit leaves nothing of it", async () => {
  await using run = await detached("--net=slirp4netns");
  const pids = descendants(run.run.pid).map(({ pid }) => pid);
  run.run.kill("SIGKILL");
  await until(() => !pids.some(isRunning));
});

test("whoever holds it may be killed: the namespace stays", async () => {
  await using run = await detached("--net=slirp4netns");
  const holder = descendants(run.childPid).find(({ pid }) => commandLine(pid).startsWith("rlkit-ns init"));
  await using killed = start(ROOT, ["kill", "-KILL", String(holder?.pid)]);
  await killed.result();
  await using web = await webServer("a page");
  expect(await inNetwork(run, "curl", "--silent", web.url)).toBe("a page");
  await ends(run);
});

test("a dockerd that knows nothing of it is refused", async () => {
  await using run = rlkit(user, ["run", "--detach-netns", "--", "dockerd"]);
  const { code, stderr } = await run.result();
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/--detach-netns needs dockerd 29\.5 or later, and this one is/),
  ]);
});
