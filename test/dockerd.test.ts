import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dockerd, dockerOutput, IMAGE, importImage, inContainer } from "./helpers/docker.ts";
import { leftovers } from "./helpers/left.ts";
import { type Running, rlkit } from "./helpers/run.ts";
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
    await using exec = rlkit(user, ["exec", "--", "/usr/bin/docker", "info", "--format", "{{.ServerVersion}}"], {
      env: { DOCKER_HOST: `unix://${user.runtimeDir}/docker.sock` },
    });
    expect(await exec.result()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^20\.10\./) });
  });
});

/** Starts a container that stays, and waits until its process is there. */
async function startContainer(user: User): Promise<void> {
  await dockerOutput(user, ["run", "--detach", "--name", "stays", IMAGE, "sleep", "1000"]);
  expect(await dockerOutput(user, ["inspect", "--format", "{{.State.Running}}", "stays"])).toBe("true");
}

const dataRoot = (user: User): string => join(user.home, ".local/share/docker");

/** The messages of rlkit's own log among dockerd's, which has another format. */
const logged = (daemon: Running): { level: string; msg: string }[] =>
  daemon.stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

describe("the end of dockerd", () => {
  test.each(networks)("TERM stops it cleanly with --net=%s", async (net) => {
    await using user = await testUser();
    await using daemon = await dockerd(user, VFS, [`--net=${net}`]);
    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await leftovers(user)).toEqual([]);
  });

  test("TERM stops it cleanly, in under 10 s, while a container runs", async () => {
    await using user = await testUser();
    await using daemon = await dockerd(user, VFS);
    await importImage(user);
    await startContainer(user);
    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await leftovers(user)).toEqual([]);
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
    expect(await leftovers(user)).toEqual([]);
  });
});

describe("the storage driver", () => {
  test("overlay2, when it is asked for, holds a container's files", async () => {
    await using user = await testUser();
    await using daemon = await dockerd(user, ["--storage-driver", "overlay2"]);
    await importImage(user);
    expect(await inContainer(user, ["sh", "-c", "rm /etc/passwd && mkdir /etc/passwd && echo done"])).toBe("done");
    expect(logged(daemon).some(({ msg }) => msg.includes("storage driver"))).toBe(false);
  });

  test("is overlay2 where nobody asks, and the log says so", async () => {
    await using user = await testUser();
    await using daemon = await dockerd(user, []);
    expect(await dockerOutput(user, ["info", "--format", "{{.Driver}}"])).toBe("overlay2");
    expect(logged(daemon)).toContainEqual(
      expect.objectContaining({ level: "info", msg: `storage driver overlay2 on ${dataRoot(user)}` }),
    );
  });

  test("stays the one whose images are there", async () => {
    await using user = await testUser();
    {
      await using daemon = await dockerd(user, VFS);
      await importImage(user);
      daemon.kill("SIGTERM");
      await daemon.status;
    }
    await using daemon = await dockerd(user, []);
    expect(await dockerOutput(user, ["info", "--format", "{{.Driver}}"])).toBe("vfs");
    expect(await inContainer(user, ["echo", "still there"])).toBe("still there");
    const [note] = logged(daemon).filter(({ msg }) => msg.includes("vfs"));
    expect(note).toMatchObject({ level: "warn", msg: expect.stringContaining(dataRoot(user)) });
  });
});
