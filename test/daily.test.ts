import { execFile } from "node:child_process";
import { appendFile, lstat, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instance, instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { type Result, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const execute = promisify(execFile);

let user: User;

beforeEach(async () => {
  user = await testUser();
});
afterEach(() => user?.[Symbol.asyncDispose]());

async function output(args: readonly string[], options = {}): Promise<Result> {
  await using run = rlkit(user, args, options);
  return await run.result();
}

const waiting = (...options: string[]): Promise<Instance> => instance(user, options, "echo ready; read -r");

describe("tree", () => {
  test("draws the processes below the supervisor, with the namespaces that are not its own", async () => {
    await using one = await waiting("--net=slirp4netns", "--pidns");
    const { stdout } = await output(["tree"]);
    const [first = "", ...rest] = stdout.split("\n");
    expect(first).toMatch(new RegExp(`^rlkit ${one.run.pid} +\\d+ MiB$`));
    expect(rest.find((line) => line.includes("rlkit-ns init"))).toMatch(/─ rlkit-ns init \d+ {2}\[user mnt net pid\]/);
    expect(stdout).toMatch(/ {3}└─ slirp4netns \d+ /);
    expect(stdout).toMatch(/^ {2}\/etc\/resolv\.conf +\w+ /m);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("--json has all of it", async () => {
    await using one = await waiting("--net=none");
    const { processes, mounts } = JSON.parse((await output(["tree", "--json"])).stdout);
    expect(processes).toMatchObject({ pid: one.run.pid, name: "rlkit", namespaces: [] });
    expect(processes.children[0]).toMatchObject({ pid: one.childPid, name: "rlkit-ns init" });
    expect(mounts).toEqual([]);
  });
});

describe("shell", () => {
  test("is $SHELL inside, which can see that it is one", async () => {
    await using _one = await waiting("--net=none");
    await using shell = rlkit(user, ["shell"], { stdin: "pipe", env: { SHELL: "/bin/bash" } });
    shell.write("echo $0 $RLKIT_SHELL $(id -u) $(ip -br link | cut -d' ' -f1)\nexit 7\n");
    const { code, stdout } = await shell.result();
    expect([code, stdout]).toEqual([7, "/bin/bash 1 0 lo\n"]);
  });

  test("without $SHELL it is sh; at a terminal it is interactive", async () => {
    await using _one = await waiting("--net=none");
    await using shell = rlkit(user, ["shell"], { terminal: true, env: { SHELL: undefined, PS1: undefined } });
    await until(() => shell.stdout.includes("# "), { what: `a prompt: ${shell.stdout}` });
    shell.write("exit\n");
    expect((await shell.result()).code).toBe(0);
  });
});

describe("logs", () => {
  test("of --log-file: its last lines", async () => {
    const file = join(user.home, "log");
    await using _one = await waiting("--net=none", `--log-file=${file}`, "--log-level=debug");
    const { stdout } = await output(["logs", "-n", "2"]);
    expect(stdout.trim().split("\n")).toHaveLength(2);
    expect(JSON.parse(stdout.split("\n")[0] ?? "")).toHaveProperty("msg");
  });

  test("-f goes on with what comes", async () => {
    const file = join(user.home, "log");
    await using _one = await waiting("--net=none", `--log-file=${file}`);
    await using logs = rlkit(user, ["logs", "-f", "--lines=0"]);
    await until(async () => (await execute("cat", [`/proc/${logs.pid}/comm`])).stdout === "tail\n", { what: "tail" });
    await appendFile(file, "and one more\n");
    await until(() => logs.stdout === "and one more\n", { what: "the line" });
  });

  test("of a file that standard error goes to", async () => {
    const file = join(user.home, "errors");
    const command = [join(tree(), "bin", "rlkit"), "run", "--net=none", "--log-level=debug", "--", "sleep", "60"];
    await using run = start(user, ["sh", "-c", `exec "$@" 2> ${file}`, "sh", ...command]);
    await until(async () => (await output(["status"])).code === 0, { what: run.stderr });
    expect((await output(["logs"])).stdout).toContain('"msg"');
  });

  test("that nobody keeps: where it goes, and how to keep it", async () => {
    const script = join(user.home, "run");
    await writeFile(script, `${join(tree(), "bin", "rlkit")} run --net=none -- sleep 60 2>&1 | cat\n`);
    await using run = start(user, ["sh", script]);
    await until(async () => (await output(["status"])).code === 0, { what: run.stderr });
    const { code, stderr } = await output(["logs"]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/the log goes to pipe:\[\d+\], where it can't be read again; --log-file=FILE or a systemd/);
    await output(["stop"]);
  });

  test("of nothing that runs there is none", async () => {
    expect(await output(["logs"])).toMatchObject({ code: 125, stdout: "" });
  });
});

describe("support", () => {
  const unpack = async (path: string): Promise<string> => {
    const directory = join(user.home, "unpacked");
    await mkdir(directory, { recursive: true });
    await execute("tar", ["-C", directory, "-xzf", path]);
    return (await execute("grep", ["-r", "", directory], { maxBuffer: 2 ** 26 })).stdout;
  };

  test("writes a tarball for the user alone, with what a report needs and no secrets", async () => {
    await using _one = await waiting("--net=none");
    const env = { MY_TOKEN: "Zq-token", HTTPS_PROXY: "http://me:Zq-pass@proxy:1" };
    const { code, stdout, stderr } = await output(["support", "-o", "report.tar.gz"], { env });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^ {2}versions\.txt\n(.*\n)+Written to .*\/report\.tar\.gz\. What looks like a secret/);
    const path = join(user.home, "report.tar.gz");
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    const text = await unpack(path);
    expect(text).toMatch(/report\/versions\.txt:rlkit \d/);
    expect(text).toMatch(/report\/status\.json:.*"phase": "ready"/);
    expect(text).toMatch(/report\/check\.json:/);
    expect(text).toMatch(/report\/environment\.txt:MY_TOKEN=\*\*\*/);
    expect(text).not.toContain("Zq-");
    expect((await leftovers(user)).filter((line) => line.includes(".tmp"))).toEqual([]);
  });

  test("without an instance, too: what can't be had is said in it", async () => {
    expect((await output(["support", "--output=r.tgz"])).code).toBe(0);
    expect(await unpack(join(user.home, "r.tgz"))).toMatch(/r\/errors\.txt:status\.json: nothing of this user's/);
  });

  test("overwrites nothing", async () => {
    await writeFile(join(user.home, "mine.tar.gz"), "mine");
    const { code, stderr } = await output(["support", "-o", "mine.tar.gz"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("mine.tar.gz: there is a file of that name")]);
  });
});
