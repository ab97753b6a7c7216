import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { answering, dockerd, dockerOutput, importImage, inContainer, logged } from "./helpers/docker.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import type { Running } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

const VFS = ["--storage-driver", "vfs"];

const dataRoot = (user: User): string => join(user.home, ".local/share/docker");

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

  // An overlay can't be the upper layer of another one.
  const overlayBelow = (user: User): string => `
    mkdir -p ${user.home}/below/lower ${user.home}/below/upper ${user.home}/below/work ${dataRoot(user)}
    options=lowerdir=${user.home}/below/lower,upperdir=${user.home}/below/upper,workdir=${user.home}/below/work
    mount -t overlay overlay -o $options ${dataRoot(user)}
    chown -R ${user.uid}:${user.gid} ${user.home}/below ${user.home}/.local`;

  test("is fuse-overlayfs where overlay2 can't work, and the log says why", async () => {
    await using user = await testUser();
    await using daemon = await dockerdOn(user, overlayBelow(user));
    await importImage(user);
    expect(await dockerOutput(user, ["info", "--format", "{{.Driver}}"])).toBe("fuse-overlayfs");
    expect(await inContainer(user, ["echo", "works"])).toBe("works");
    expect(logged(daemon)).toContainEqual(
      expect.objectContaining({ msg: `storage driver fuse-overlayfs on ${dataRoot(user)} (overlay2: EINVAL)` }),
    );
  });

  test("is vfs only where neither works, with a warning that says what to do", async () => {
    await using user = await testUser();
    const noFuse = `install -m 0600 /dev/null ${user.home}/fuse; mount --bind ${user.home}/fuse /dev/fuse`;
    await using daemon = await dockerdOn(user, `${overlayBelow(user)}\n${noFuse}`);
    await importImage(user);
    expect(await dockerOutput(user, ["info", "--format", "{{.Driver}}"])).toBe("vfs");
    expect(await inContainer(user, ["echo", "works"])).toBe("works");
    expect(logged(daemon)).toContainEqual(
      expect.objectContaining({
        level: "warn",
        msg: expect.stringMatching(
          /^storage driver vfs on .*overlay2: EINVAL; fuse-overlayfs: \/dev\/fuse can't be opened/,
        ),
        fix: expect.stringContaining("install fuse-overlayfs"),
      }),
    );
  });
});

/** Starts dockerd without a storage driver where root has prepared the mounts. */
const dockerdOn = (user: User, script: string): Promise<Running> =>
  answering(user, preparedRlkit(user, { script }, ["run", "--", "dockerd", "--experimental"]));
