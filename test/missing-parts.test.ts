import { chmod, chown, copyFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { pathWithout } from "./helpers/path.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import { expectRefusal } from "./helpers/refusal.ts";
import { ROOT, type Running, rlkit, start } from "./helpers/run.ts";
import { testUser } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const FAILED = 125;

const none = () => ({ uid: [], gid: [] });

describe("no id maps", () => {
  test("without sub-ids, and names the command that delegates some", async () => {
    await using user = await testUser(undefined, { subids: none });
    await using running = rlkit(user, ["run", "--", "true"]);
    await expectRefusal(user, running, {
      status: FAILED,
      says: [
        `${user.name} (${user.uid}) has no subordinate uids in /etc/subuid`,
        "gids in /etc/subgid",
        /sudo usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+/,
      ],
    });
  });

  test("without sub-gids alone, and names that file alone", async () => {
    await using user = await testUser(undefined, {
      subids: ({ name }) => ({ uid: [`${name}:700000:65536`], gid: [] }),
    });
    await using running = rlkit(user, ["run", "--", "true"]);
    await expectRefusal(user, running, {
      status: FAILED,
      says: ["no subordinate gids in /etc/subgid", "--add-subgids"],
    });
  });

  test.each([
    ["two fields", (name: string) => `${name}:100000`, "it has 2 fields"],
    ["a start that is no number", (name: string) => `${name}:1e5:65536`, '"1e5" is not a plain decimal number'],
    ["a count of 0", (name: string) => `${name}:100000:0`, "the count is 0"],
  ])("with %s in the user's line of /etc/subuid", async (_, line, why) => {
    await using user = await testUser(undefined, {
      subids: ({ name }) => ({ uid: [line(name)], gid: [`${name}:700000:65536`] }),
    });
    await using running = rlkit(user, ["run", "--", "true"]);
    await expectRefusal(user, running, {
      status: FAILED,
      says: [
        /\/etc\/subuid line \d+: /,
        line(user.name),
        why,
        `name:start:count, for example ${user.name}:100000:65536`,
      ],
    });
  });

  test("but a malformed line of somebody else's is no obstacle", async () => {
    await using user = await testUser(undefined, {
      subids: ({ name }) => ({ uid: ["rlt-nobody-else:1", `${name}:700000:65536`], gid: [`${name}:700000:65536`] }),
    });
    await using running = rlkit(user, ["run", "--net=none", "--", "true"]);
    expect(await running.result()).toMatchObject({ code: 0, stderr: "" });
  });

  test("but fewer than 65536 ids are worth a warning, and the command runs", async () => {
    await using user = await testUser(undefined, {
      subids: ({ name }) => ({ uid: [`${name}:700000:1000`], gid: [`${name}:700000:65536`] }),
    });
    await using running = rlkit(user, ["run", "--net=none", "--", "id", "-u"]);
    const { code, stdout, stderr } = await running.result();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "0\n" });
    expect(JSON.parse(stderr)).toMatchObject({
      level: "warn",
      msg: expect.stringContaining("has only 1000 subordinate uids in /etc/subuid"),
      fix: expect.stringContaining("--add-subuids"),
    });
  });

  test.each([[["newuidmap"]], [["newgidmap"]], [["newuidmap", "newgidmap"]]])("without %j on PATH", async (names) => {
    await using user = await testUser();
    await using running = rlkit(user, ["run", "--", "true"], { env: { PATH: await pathWithout(user, ...names) } });
    const says = [`${names.join(" and ")} not found on PATH (${user.home}/path)`, "apt-get install uidmap"];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("with a newuidmap that has lost its setuid bit", async () => {
    await using user = await testUser();
    const path = await pathWithout(user, "newuidmap");
    await copyFile("/usr/bin/newuidmap", join(path, "newuidmap"));
    await chmod(join(path, "newuidmap"), 0o755);
    await using running = rlkit(user, ["run", "--", "true"], { env: { PATH: path } });
    await expectRefusal(user, running, {
      status: FAILED,
      says: [
        `${path}/newuidmap has neither the setuid bit nor the file capability`,
        `sudo chmod u+s ${path}/newuidmap`,
      ],
    });
  });

  test("with a newuidmap that is setuid to the user and not to root", async () => {
    await using user = await testUser();
    const path = await pathWithout(user, "newuidmap");
    await copyFile("/usr/bin/newuidmap", join(path, "newuidmap"));
    await chown(join(path, "newuidmap"), user.uid, user.gid);
    await chmod(join(path, "newuidmap"), 0o4755);
    await using running = rlkit(user, ["run", "--", "true"], { env: { PATH: path } });
    const says = [`${path}/newuidmap is setuid, but to uid ${user.uid} and not to root`, "sudo chown root"];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("with a newuidmap on a file system that is mounted nosuid", async () => {
    await using user = await testUser();
    const script = "mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin";
    await using running = preparedRlkit(user, { script }, ["run", "--", "true"]);
    const says = [
      "/usr/bin/newuidmap is under /usr/bin, which is mounted nosuid",
      "sudo mount -o remount,suid /usr/bin",
    ];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("with no_new_privs set", async () => {
    await using user = await testUser();
    await using running = preparedRlkit(user, { script: "", setpriv: ["--no-new-privs"] }, ["run", "--", "true"]);
    await expectRefusal(user, running, {
      status: FAILED,
      says: ["no_new_privs is set", "newuidmap", "NoNewPrivileges="],
    });
  });

  test("for a uid without a passwd entry", async () => {
    await using user = await testUser(undefined, { passwd: false });
    await using running = rlkit(user, ["run", "--", "true"]);
    const says = [`uid ${user.uid} has no passwd entry`, `sudo useradd --uid ${user.uid}`];
    await expectRefusal(user, running, { status: FAILED, says });
  });
});

describe("no namespaces", () => {
  test("where user.max_user_namespaces is 0", async () => {
    await using user = await testUser();
    await using namespace = await userNamespace();
    // The setting of a namespace is its own; the machine's stays as it is.
    const script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"';
    const enter = ["nsenter", "--user", "--target", String(namespace.pid), "sh", "-c", script, "sh"];
    await using running = preparedRlkit(user, { script: "", enter }, ["run", "--net=none", "--", "true"]);
    await expectRefusal(user, running, {
      status: FAILED,
      says: [
        "cannot make a user namespace: user.max_user_namespaces is 0",
        "as root: echo user.max_user_namespaces=28633 >> /etc/sysctl.d/60-rlkit.conf && sysctl -p /etc/sysctl.d/60-rlkit.conf",
      ],
    });
  });
});

/** A user namespace that has all ids, held by a process. */
async function userNamespace(): Promise<Running> {
  const holder = start(ROOT, ["unshare", "--user", "sleep", "100"]);
  const own = await readlink("/proc/self/ns/user");
  await until(async () => (await readlink(`/proc/${holder.pid}/ns/user`)) !== own);
  for (const kind of ["uid", "gid"]) await writeFile(`/proc/${holder.pid}/${kind}_map`, "0 0 4294967295\n");
  return holder;
}

describe("no network", () => {
  const hide = {
    "is missing": "mount -t tmpfs none /dev/net",
    "can't be opened": "mount -t tmpfs none /dev/net; mknod -m 0600 /dev/net/tun c 10 200",
  };

  test.each([
    ["slirp4netns", "is missing", "there is no /dev/net/tun on this machine"],
    ["pasta", "is missing", "there is no /dev/net/tun on this machine"],
    ["auto", "is missing", "there is no /dev/net/tun on this machine"],
    ["slirp4netns", "can't be opened", "/dev/net/tun can't be opened by this user"],
    ["auto", "can't be opened", "/dev/net/tun can't be opened by this user"],
  ] as const)("with --net=%s where /dev/net/tun %s", async (net, how, why) => {
    await using user = await testUser();
    await using running = preparedRlkit(user, { script: hide[how] }, ["run", `--net=${net}`, "--", "true"]);
    await expectRefusal(user, running, { status: FAILED, says: ["cannot use --net=", why, "chmod 0666 /dev/net/tun"] });
  });

  test.each([
    ["slirp4netns", ["slirp4netns"], ["cannot use --net=slirp4netns: slirp4netns is not on PATH"]],
    ["pasta", ["pasta"], ["cannot use --net=pasta: pasta is not on PATH"]],
    ["auto", ["slirp4netns", "pasta"], ["pasta is not on PATH", "slirp4netns is not on PATH"]],
  ])("with --net=%s and without %j", async (net, missing, says) => {
    await using user = await testUser();
    const PATH = await pathWithout(user, ...missing);
    await using running = rlkit(user, ["run", `--net=${net}`, "--", "true"], { env: { PATH } });
    await expectRefusal(user, running, {
      status: FAILED,
      says: [...says, "apt-get install passt slirp4netns", "--net=none"],
    });
  });

  test.each([
    ["pasta", "slirp4netns"],
    ["slirp4netns", "pasta"],
  ])("is no obstacle to --net=auto without %s: %s takes its place", async (missing, other) => {
    await using user = await testUser();
    const PATH = await pathWithout(user, missing);
    await using running = rlkit(user, ["run", "--", "true"], { env: { PATH } });
    const { code, stderr } = await running.result();
    expect({ code, msg: JSON.parse(stderr).msg }).toEqual({
      code: 0,
      msg: expect.stringContaining(`network: ${other}, `),
    });
  });

  test("is no obstacle to --net=auto where pasta ends before it is ready: slirp4netns takes its place", async () => {
    await using user = await testUser();
    const PATH = await pathWithout(user, "pasta");
    const options = "--config-net --ns-ifname --dns-forward --pid";
    const script = `#!/bin/sh\n[ "$1" = --help ] && echo "${options}" || { echo "no luck today" >&2; exit 1; }\n`;
    await writeFile(join(PATH, "pasta"), script, { mode: 0o755 });
    await using running = rlkit(user, ["run", "--", "ls", "/sys/class/net"], { env: { PATH } });
    const { code, stdout, stderr } = await running.result();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "lo\ntap0\n" });
    expect(stderr).toMatch(/slirp4netns, not pasta, because pasta ended with status 1: no luck today/);
    expect(await leftovers(user)).toEqual([]);

    await using strict = rlkit(user, ["run", "--net=pasta", "--log-level=warn", "--", "true"], { env: { PATH } });
    const says = ["pasta ended with status 1: no luck today", "--net=slirp4netns"];
    await expectRefusal(user, strict, { status: FAILED, says });
  });
});
