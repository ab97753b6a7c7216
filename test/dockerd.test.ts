import { mkdir, readdir, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answers, dockerd, dockerOutput, IMAGE, importImage, inContainer, logged } from "./helpers/docker.ts";
import { leftovers } from "./helpers/left.ts";
import { type Running, rlkit, start, tree } from "./helpers/run.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";
import { webServer } from "./helpers/web.ts";

const networks = ["slirp4netns", "pasta"] as const;
const VFS = ["--storage-driver", "vfs"];

describe.each(networks)("dockerd with --net=%s", (net) => {
  let user: User;
  let daemon: Running;

  beforeAll(async () => {
    user = await testUser();
    daemon = await dockerd(user, VFS, [`--net=${net}`]);
    await importImage(user);
  });

  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  test("is the machine's dockerd, rootless, with the storage driver that it was given", async () => {
    const info = JSON.parse(await dockerOutput(user, ["info", "--format", "{{json .}}"]));
    expect(info).toMatchObject({
      Driver: "vfs",
      ServerVersion: expect.stringMatching(/^20\.10\./),
      DockerRootDir: join(user.home, ".local/share/docker"),
    });
    expect(info.SecurityOptions).toContain("name=rootless");
  });

  test("a container runs, and its root is the user", async () => {
    const [line, map] = (await inContainer(user, ["sh", "-c", "echo from inside; cat /proc/self/uid_map"])).split("\n");
    expect(line).toBe("from inside");
    expect(map?.trim().split(/\s+/)).toEqual(["0", String(user.uid), "1"]);
  });

  test("a container fetches a page from another machine", async () => {
    await using web = await webServer("the page\n");
    expect(await inContainer(user, ["wget", "-q", "-O", "-", web.url])).toBe("the page");
  });

  test("a container's interface has the MTU of the tap device, 65520", async () => {
    expect(await inContainer(user, ["cat", "/sys/class/net/eth0/mtu"])).toBe("65520");
    await using exec = rlkit(user, ["exec", "--", "cat", "/sys/class/net/tap0/mtu"]);
    expect(await exec.result()).toMatchObject({ code: 0, stdout: "65520\n" });
  });

  test("rlkit exec runs the client inside, and it finds the daemon", async () => {
    const script = 'id -u; /usr/bin/docker info --format "{{.ServerVersion}}"';
    await using exec = rlkit(user, ["exec", "--", "sh", "-c", script], {
      env: { DOCKER_HOST: `unix://${user.runtimeDir}/docker.sock` },
    });
    expect(await exec.result()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0\n20\.10\./) });
  });
});

/** Starts a container that stays, and waits until its process is there. */
async function startContainer(user: User): Promise<void> {
  // As a container's PID 1, a sleep alone would not die of TERM.
  const script = "trap exit TERM; sleep 1000 & wait";
  await dockerOutput(user, ["run", "--detach", "--name", "stays", IMAGE, "sh", "-c", script]);
  expect(await dockerOutput(user, ["inspect", "--format", "{{.State.Running}}", "stays"])).toBe("true");
}

/**
 * What is left, but for what dockerd itself leaves wherever it runs: its run-time files, and a dump of containerd's, which it asks
 * for (rarely) when TERM comes while it looks whether containerd is well.
 */
async function leftBesideDocker(user: User): Promise<string[]> {
  const dockers = (line: string) =>
    line === `file ${user.runtimeDir}/docker` || /^file \/tmp\/containerd\.\d+\.stacks\.log$/.test(line);
  return (await leftovers(user)).filter((line) => !dockers(line));
}

describe("the end of dockerd", () => {
  test.each(networks)("TERM stops it cleanly with --net=%s", async (net) => {
    await using user = await testUser();
    await using daemon = await dockerd(user, VFS, [`--net=${net}`]);
    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await leftBesideDocker(user)).toEqual([]);
  });

  test("TERM stops it cleanly, in under 10 s, while a container runs", async () => {
    await using user = await testUser();
    await using daemon = await dockerd(user, VFS);
    await importImage(user);
    await startContainer(user);
    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await leftBesideDocker(user)).toEqual([]);
  });

  test.each(networks)("with rlkit killed and --net=%s nothing goes on for 2 s, and it starts again", async (net) => {
    await using user = await testUser();
    await using daemon = await dockerd(user, VFS, [`--net=${net}`]);
    await importImage(user);
    await startContainer(user);
    daemon.kill("SIGKILL");
    await until(async () => (await processesOf(user)).length === 0, { deadline: 2000 });
    await using again = await dockerd(user, VFS, [`--net=${net}`]);
    expect(await inContainer(user, ["echo", "again"])).toBe("again");
    await dockerOutput(user, ["start", "stays"]);
    again.kill("SIGTERM");
    expect(await again.result()).toMatchObject({ code: 0 });
    expect(await leftBesideDocker(user)).toEqual([]);
  });
});

/** Variables as the lines of a shell script set them: `export NAME=value`. */
function exported(script: string): Record<string, string> {
  const lines = script.split(/[;\n]/).map((line) => /^\s*export (\w+)=(.*)$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match?.[1] === undefined ? [] : [[match[1], match[2] ?? ""]])));
}

describe("without XDG_RUNTIME_DIR", () => {
  const unset = { XDG_RUNTIME_DIR: undefined };
  const argv = ["run", "--net=slirp4netns", "--", "dockerd", "--experimental", ...VFS];

  test.each([
    ["a private /run/user/UID is found", true],
    ["~/.docker/run takes its place, open to the user alone", false],
  ])("%s; the log and rlkit env say how to reach dockerd", async (_, hasLogin) => {
    await using user = await testUser();
    if (!hasLogin) await rmdir(user.runtimeDir);
    const directory = hasLogin ? user.runtimeDir : join(user.home, ".docker/run");
    const expected = { XDG_RUNTIME_DIR: directory, DOCKER_HOST: `unix://${directory}/docker.sock` };
    await using daemon = rlkit(user, argv, { env: unset });
    await answers(user, daemon, expected);
    const { mode, uid } = await stat(directory);
    expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o700, uid: user.uid });
    const messages = logged(daemon).map(({ msg }) => msg);
    expect(messages).toContainEqual(expect.stringContaining(`XDG_RUNTIME_DIR was not set; using ${directory}`));
    expect(exported(messages.find((msg) => msg.startsWith("export ")) ?? "")).toEqual(expected);

    await using env = rlkit(user, ["env"], { env: unset });
    const { stdout } = await env.result();
    expect(exported(stdout)).toEqual(expected);

    const script = 'eval "$("$0" env)" && exec /usr/bin/docker info --format "{{.Driver}}"';
    await using client = start(user, ["sh", "-c", script, join(tree(), "bin/rlkit")], { env: unset });
    expect(await client.result()).toMatchObject({ code: 0, stdout: "vfs\n" });
    await using exec = rlkit(user, ["exec", "--", "sh", "-c", "echo $XDG_RUNTIME_DIR"], { env: unset });
    expect(await exec.result()).toMatchObject({ code: 0, stdout: `${directory}\n` });
    daemon.kill("SIGTERM");
    expect(await daemon.result()).toMatchObject({ code: 0 });
    expect(await readdir(directory)).not.toContain("dockerd-rootless");
    if (!hasLogin) await mkdir(user.runtimeDir);
  });
});

test("at a terminal the lines to paste stand alone", async () => {
  await using user = await testUser();
  const argv = ["run", "--net=none", "--", "dockerd", "--experimental", "--bridge=none", ...VFS];
  await using daemon = rlkit(user, argv, { terminal: true });
  await answers(user, daemon);
  expect(daemon.stdout.replaceAll("\r", "")).toContain(
    `To use it in another terminal:\n  export XDG_RUNTIME_DIR=${user.runtimeDir}\n  export DOCKER_HOST=unix://${user.runtimeDir}/docker.sock\n`,
  );
});

test("what root's Docker has in /run is not there inside, and stays as it is outside", async () => {
  await using user = await testUser();
  await using roots = await rootsDocker();
  await using daemon = await dockerd(user, VFS);
  const script = "for name in docker containerd xtables.lock; do readlink /run/$name; done; ls /run/containerd";
  await using exec = rlkit(user, ["exec", "--", "sh", "-c", script]);
  const { stdout } = await exec.result();
  expect(stdout).not.toContain("/");
  expect(stdout).not.toContain("rlkit-test");
  await using write = rlkit(user, [
    "exec",
    "--",
    "sh",
    "-c",
    "mkdir -p /run/docker /run/containerd && echo >> /run/xtables.lock",
  ]);
  expect(await write.result()).toMatchObject({ code: 0 });
  expect(daemon.stderr).not.toContain("xtables.lock");
  expect(await readdir(roots.directory)).toEqual(["rlkit-test"]);
});

/** What a Docker of root's leaves in /run, where the machine has none: removed with the test. */
async function rootsDocker(): Promise<AsyncDisposable & { directory: string }> {
  const made = await mkdir("/run/containerd", { recursive: true });
  const directory = "/run/containerd/rlkit-test-directory";
  await mkdir(directory);
  await writeFile(join(directory, "rlkit-test"), "");
  const madeDocker = await mkdir("/run/docker", { recursive: true });
  return {
    directory,
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true });
      for (const path of [made, madeDocker]) if (path !== undefined) await rmdir(path);
    },
  };
}
