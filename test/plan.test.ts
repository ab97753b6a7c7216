import { execFile } from "node:child_process";
import { mkdir, readFile, rmdir } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { type Result, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

interface Step {
  readonly do: string;
  readonly what: string;
  readonly why: string;
  readonly op?: readonly (string | number)[];
  readonly argv?: readonly string[];
  readonly args?: readonly string[];
}

async function plan(
  user: User,
  argv: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<Result> {
  await using running = rlkit(user, ["plan", ...argv], { env });
  return await running.result();
}

async function steps(user: User, argv: readonly string[]): Promise<Step[]> {
  const { code, stdout, stderr } = await plan(user, ["--json", ...argv]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** All that a plan could change: the user's files with their times and modes, and the host's mounts. */
async function state({ home }: User): Promise<string> {
  const { stdout } = await promisify(execFile)("find", [home, "-printf", "%p %m %T@\n"]);
  return `${stdout}${await readFile("/proc/self/mountinfo", "utf8")}`;
}

const commands = [
  ["--", "true"],
  ["--net=slirp4netns", "--pidns", "--copy-up=/etc", "--", "sh", "-c", "exit 3"],
  ["--net=host", "--", "no-such-command-here"],
  ["--", "dockerd", "--experimental"],
];

describe.each(commands.map((argv) => [argv] as const))("rlkit plan %j", (argv) => {
  test("changes nothing and leaves nothing", async () => {
    await using user = await testUser();
    const before = await state(user);
    expect((await plan(user, argv)).code).toBe(0);
    expect(await state(user)).toBe(before);
    expect(await leftovers(user)).toEqual([]);
  });

  test("--json: every step says what it does, what that is in words, and why", async () => {
    await using user = await testUser();
    const all = await steps(user, argv);
    for (const step of all) {
      const text = expect.stringMatching(/\w{2}/);
      expect(step).toMatchObject({ do: text, what: text, why: text });
    }
    expect(all.at(-1)).toMatchObject({
      do: "start-target",
      argv: expect.arrayContaining([argv[argv.indexOf("--") + 1]]),
    });
  });

  test("the table has a numbered row for each step, with what it does and why", async () => {
    await using user = await testUser();
    const { stdout } = await plan(user, argv);
    const all = await steps(user, argv);
    // A cell wraps at blanks; without any, each is one run of characters in its column.
    const rows = stdout.split(/^(?=\d+ )/m).slice(1);
    expect(rows.map((row) => Number.parseInt(row, 10))).toEqual(all.map((_, index) => index + 1));
    for (const [index, { what, why }] of all.entries()) {
      const words = new Set(rows[index]?.split(/\s+/));
      for (const word of [...shortWords(what), ...shortWords(why)]) expect(words, rows[index]).toContain(word);
    }
  });
});

/** The words that fit into a column: others are cut. Numbers differ from run to run (names of temporary directories). */
const shortWords = (text: string): string[] =>
  text.split(" ").filter((word) => /^[\w,.;()/-]{1,20}$/.test(word) && !/\d/.test(word));

test("for dockerd: what its profile promises", async () => {
  await using user = await testUser();
  const all = await steps(user, ["--net=slirp4netns", "--", "dockerd"]);
  const what = all.map((step) => step.what);
  expect(what).toEqual(
    expect.arrayContaining([
      `lock the state directory ${user.runtimeDir}/dockerd-rootless`,
      "make the mount / recursive,slave",
      "mount tmpfs on /etc",
      "mount tmpfs on /run",
      "remove /run/docker",
      "remove /run/containerd",
      "remove /run/xtables.lock",
      'write "1" to /proc/sys/net/ipv4/ip_forward',
      `try storage drivers on ${user.home}/.local/share/docker: overlay2, fuse-overlayfs, btrfs, vfs`,
      "write daemon.json to the state directory",
      `start dockerd --config-file=${user.runtimeDir}/dockerd-rootless/daemon.json --mtu=65520`,
    ]),
  );
  expect(all.find((step) => step.do === "start-helper")?.args).toContain("--disable-host-loopback");
});

test("for dockerd without a session, nothing is made either", async () => {
  await using user = await testUser();
  await rmdir(user.runtimeDir);
  const before = await state(user);
  const { code, stdout } = await plan(user, ["--", "dockerd"], { XDG_RUNTIME_DIR: undefined });
  const after = await state(user);
  await mkdir(user.runtimeDir);
  expect({ code, after }).toEqual({ code: 0, after: before });
  expect(stdout.replaceAll(/\s/g, "")).toContain(`${user.home}/.docker/run`);
});

test("is what run does: the log of run at level debug has the same steps", async () => {
  await using user = await testUser();
  const argv = ["--net=slirp4netns", "--copy-up=/opt", "--", "true"];
  const planned = (await steps(user, argv)).map(({ what }) => what);
  await using running = rlkit(user, ["run", "--log-level=debug", ...argv]);
  const { code, stderr } = await running.result();
  const logged = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).msg);
  const names = (texts: string[]) => texts.map((text) => text.replaceAll(/\.ro\d+|rlkit-\d+/g, "X"));
  expect(code).toBe(0);
  expect(names(logged).filter((text) => names(planned).includes(text))).toEqual(names(planned));
});

test("refuses what run would refuse, in the same words", async () => {
  await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
  const planned = await plan(user, ["--", "true"]);
  await using running = rlkit(user, ["run", "--", "true"]);
  expect(planned).toEqual(await running.result());
  expect(planned).toMatchObject({ code: 125, stdout: "", stderr: expect.stringContaining("no subordinate uids") });
});
