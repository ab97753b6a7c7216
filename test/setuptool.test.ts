import { chmod, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loginEnvironment } from "./helpers/environment.ts";
import { instance } from "./helpers/instance.ts";
import { type Result, rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

const SBIN = "/usr/sbin:/sbin";

let user: User;
/** A directory of rlkit's links, first on PATH. */
let bin: string;

beforeEach(async () => {
  user = await testUser();
  bin = join(user.home, "bin");
  await using linked = rlkit(user, ["link", bin]);
  expect(await linked.result()).toMatchObject({ code: 0 });
});

afterEach(() => user?.[Symbol.asyncDispose]());

const path = (): string => `${bin}:${loginEnvironment(user).PATH}:${SBIN}`;

async function tool(words: readonly string[], env: Record<string, string | undefined> = {}): Promise<Result> {
  await using run = start(user, ["dockerd-rootless-setuptool.sh", ...words], { env: { PATH: path(), ...env } });
  return await run.result();
}

/** Text without the colours of its marks. */
const plain = (text: string): string => stripVTControlCharacters(text);

/** A program of that name, before all others. */
async function program(name: string, script: string): Promise<void> {
  await rm(join(bin, name), { force: true });
  await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, name), 0o755);
}

/** A systemctl that keeps what it is asked. */
const systemctl = (status = 0): Promise<void> =>
  program("systemctl", `echo "$@" >> ${user.home}/asked; case "$2" in start) exit ${status};; esac; exit 0`);

describe("check", () => {
  test("a host with all that is needed", async () => {
    expect(await tool(["check"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Requirements are satisfied"),
    });
  });

  test("what is missing, and the block for root", async () => {
    await program("getsubids", "exit 1");
    const { code, stdout, stderr } = await tool(["check"]);
    expect(code).toBe(1);
    expect(plain(stderr)).toContain("[ERROR] Missing system requirements.");
    expect(stdout).toContain(
      `sudo sh -eux <<EOF\n# Add subuid entry for ${user.name}\necho "${user.name}:100000:65536" >> /etc/subuid`,
    );
  });

  test.each([
    [{ HOME: "/nonexistent" }, "HOME needs to be set"],
    [{ HOME: "/usr" }, "HOME needs to be writable"],
    [{ PATH: "/usr/bin:/bin" }, "dockerd-rootless.sh needs to be present under $PATH"],
  ])("with %j: %s", async (env, why) => {
    await using run = start(user, [join(bin, "dockerd-rootless-setuptool.sh"), "check"], {
      env: { PATH: path(), ...env },
    });
    const { code, stderr } = await run.result();
    expect([code, plain(stderr)]).toEqual([1, `[ERROR] ${why}\n`]);
  });

  test("systemd, and no session: what su does", async () => {
    await systemctl();
    const { code, stderr } = await tool(["check"], { XDG_RUNTIME_DIR: undefined });
    expect(code).toBe(1);
    expect(plain(stderr)).toMatch(/XDG_RUNTIME_DIR \(""\) is not set.*\n.*'su' or 'sudo'/);
  });
});

describe("install", () => {
  test("without systemd: the command to start it by hand, the context and the lines for the shell", async () => {
    const { code, stdout } = await tool(["install"], { XDG_RUNTIME_DIR: undefined });
    expect(code, stdout).toBe(0);
    const runtimeDir = join(user.home, ".docker", "run");
    for (const line of [
      `PATH=${bin}:/sbin:/usr/sbin:$PATH dockerd-rootless.sh`,
      `export XDG_RUNTIME_DIR=${runtimeDir}`,
      `export PATH=${bin}:$PATH`,
      `export DOCKER_HOST=unix://${runtimeDir}/docker.sock`,
      '[INFO] Creating CLI context "rootless"',
    ]) {
      expect(plain(stdout)).toContain(line);
    }
    const config = JSON.parse(await readFile(join(user.home, ".docker", "config.json"), "utf8"));
    expect(config.currentContext).toBe("rootless");
    expect(plain((await tool(["install"])).stdout)).toContain('CLI context "rootless" already exists');
    const gone = await tool(["uninstall"]);
    expect(plain(gone.stdout)).toContain('[INFO] Deleted CLI context "rootless"');
  });

  test("with systemd: a unit, once, that is started and enabled; uninstall removes it", async () => {
    await systemctl();
    const { code, stdout, stderr } = await tool(["install"]);
    expect(code, stderr).toBe(0);
    expect(plain(stdout)).toContain("[INFO] Installed docker.service successfully.");
    const file = join(user.home, ".config", "systemd", "user", "docker.service");
    const unit = await readFile(file, "utf8");
    for (const line of [
      `ExecStart=${bin}/dockerd-rootless.sh`,
      "Type=notify",
      "NotifyAccess=all",
      "KillMode=mixed",
      "Delegate=yes",
      "ExecReload=/bin/kill -s HUP $MAINPID",
    ]) {
      expect(unit).toContain(line);
    }
    const asked = (await readFile(join(user.home, "asked"), "utf8")).split("\n");
    expect(asked).toEqual(expect.arrayContaining(["--user daemon-reload", "--user enable docker.service"]));
    await writeFile(file, "mine");
    expect(plain((await tool(["install"])).stderr)).toContain(`[WARNING] File already exists, skipping: ${file}`);
    expect(await readFile(file, "utf8")).toBe("mine");
    expect((await tool(["uninstall"])).code).toBe(0);
    await expect(readFile(file)).rejects.toThrow("ENOENT");
  });

  test("a unit that does not start: where to look, and how to begin anew", async () => {
    await program("systemctl", 'case "$2" in start) exit 1;; --no-pager) exit 3;; esac; exit 0');
    const { code, stderr } = await tool(["install"]);
    expect(code).toBe(1);
    expect(plain(stderr)).toContain("[ERROR] Failed to start docker.service. Run `journalctl -n 20 --no-pager --user");
    expect(plain(stderr)).toContain(`${bin}/rootlesskit rm -rf ${user.home}/.local/share/docker`);
  });

  test("a RootlessKit that does not work: an error, or with --force a warning", async () => {
    await program("newuidmap", "echo 'newuidmap: no' >&2; exit 1");
    const refused = await tool(["install", "--skip-iptables"]);
    expect(refused.code).toBe(1);
    expect(plain(refused.stderr)).toContain("[ERROR] RootlessKit failed, see the error messages");
    const forced = await tool(["--force", "install", "--skip-iptables"]);
    expect([forced.code, plain(forced.stderr)]).toEqual([0, expect.stringContaining("[WARNING] RootlessKit failed")]);
  });
});

test.each([
  [["--help"], 0, /^Usage: .*dockerd-rootless-setuptool\.sh \[OPTIONS\] COMMAND\n/],
  [[], 1, /No command was specified\. Run with --help/],
  [["foo"], 1, /Unknown command: foo\./],
  [["--foo"], 1, /unrecognized option '--foo'/],
  [["nsenter", "true"], 1, /child_pid is not there: no rootless dockerd runs/],
])("%j: status %i", async (words, status, like) => {
  const { code, stdout, stderr } = await tool(words);
  expect(code).toBe(status);
  expect(plain(stdout + stderr)).toMatch(like);
});

test("nsenter runs a command in the namespaces of the daemon", async () => {
  const stateDir = join(user.runtimeDir, "dockerd-rootless");
  const script = "echo ready; read -r";
  await using _run = await instance(user, ["--net=slirp4netns"], script, {
    stateDir,
  });
  const { code, stdout, stderr } = await tool(["nsenter", "sh", "-c", "id -u; ip -br address show tap0"]);
  expect([code, stdout], stderr).toEqual([0, expect.stringMatching(/^0\ntap0 .*10\.0\.2\.100/)]);
});

describe("rlkit link", () => {
  test("what is in the way and not rlkit's stays, and nothing is changed", async () => {
    await program("rootlesskit", "echo mine");
    await rm(join(bin, "rootlessctl"));
    await using run = rlkit(user, ["link", bin]);
    const refused = `not links of rlkit's: ${bin}/rootlesskit; nothing was changed`;
    expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining(refused) });
    await expect(readlink(join(bin, "rootlessctl"))).rejects.toThrow("ENOENT");
    await using forced = rlkit(user, ["link", "--force", bin]);
    expect(await forced.result()).toMatchObject({ code: 0 });
    await using version = start(user, [join(bin, "rootlesskit"), "--version"]);
    expect(await version.result()).toMatchObject({ stdout: expect.stringContaining("rootlesskit version 3.1") });
  });

  test("links to a tree that is gone are replaced", async () => {
    await rm(join(bin, "rlkit"));
    await symlink("/gone/bin/rlkit", join(bin, "rlkit"));
    await using run = rlkit(user, ["link", bin]);
    expect(await run.result()).toMatchObject({ code: 0 });
    await using version = start(user, [join(bin, "rlkit"), "--version"]);
    expect(await version.result()).toMatchObject({ code: 0 });
  });
});
