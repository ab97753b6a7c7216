import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readlink, rmdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeDirectory } from "./helpers/environment.ts";
import { leftovers } from "./helpers/left.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import { ROOT, type Running, rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

/** Milliseconds for the whole of a run that fails: a tenth is usual. */
const DEADLINE = 2000;

interface Refusal {
  readonly status: number;
  /** Each is in the one line: what failed and on which object, why, what to do. */
  readonly says: readonly (string | RegExp)[];
}

/** Checks that a run has ended as every run with a known cause ends: soon, in one line, with nothing left. */
async function expectRefusal(user: User, run: Running, { status, says }: Refusal): Promise<void> {
  const { code, signal, stdout, stderr } = await run.result(DEADLINE);
  expect(stderr).toMatch(/^rlkit: .+\n$/); // `.` is no newline, so one line
  expect({ code, signal, stdout }, stderr).toEqual({ code: status, signal: null, stdout: "" });
  for (const words of says) expect(stderr).toMatch(words);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+|defect/);
  expect(await leftovers(user)).toEqual([]);
}

const USAGE = 2;
const FAILED = 125;

describe("a wrong command line", () => {
  const run = (...words: string[]) => ["run", ...words, "--", "true"];

  test.each<[string[], ...(string | RegExp)[]]>([
    [run("--propogation=rslave"), "unknown option --propogation, did you mean --propagation?", "rlkit run --help"],
    [run("--propogation", "rslave"), "unknown option --propogation, did you mean --propagation?"],
    [run("--nonsense-option"), /unknown option --nonsense-option\. /, "rlkit run --help"],
    [run("-z"), "unknown option -z"],
    [["exce", "--", "true"], '"exce" is not a command of rlkit, did you mean exec?', "rlkit run -- exce"],
    [["dockerd"], '"dockerd" is not a command of rlkit', "rlkit run -- dockerd"],
    [["run"], "no command to run", "rlkit run -- dockerd"],
    [["run", "--pidns", "--"], "no command to run"],
    [["run", "--", ""], "no command to run"],
    [["exec"], "no command to run", "rlkit exec -- docker info"],
    [["plan"], "no command to run"],
    [["env", "something"], "rlkit env takes no arguments", '"something"'],
    [run("--mtu=abc"), "--mtu", "whole number"],
    [run("--mtu=-1"), "--mtu", "whole number"],
    [run("--mtu=70000"), "--mtu=70000 is too large", "65521"],
    [run("--mtu=67"), "--mtu=67 is too small"],
    [run("--mtu="), "--mtu"],
    [run("--cidr=10.0.2.100/24"), "--cidr=10.0.2.100/24", "like 10.0.2.0/24"],
    [run("--cidr=10.0.2.0/33"), "--cidr=10.0.2.0/33 is not an IPv4 network", "like 10.0.2.0/24"],
    [run("--cidr=10.0.2.0/26"), "--cidr=10.0.2.0/26", "from 1 to 25"],
    [run("--cidr=nonsense"), "--cidr=nonsense is not an IPv4 network", "like 10.0.2.0/24"],
    [run("--cidr=10.0.2.0"), "--cidr=10.0.2.0 is not an IPv4 network"],
    [run("--cidr=10.0.4.0/24", "--net=none"), "--cidr is not supported for --net=none"],
    [run("--cidr=10.0.4.0/24", "--net=host"), "--cidr is not supported for --net=host"],
    [run("--ifname=eth0", "--net=none"), "--ifname is not supported for --net=none"],
    [run("--ifname=a/b"), "--ifname=a/b", "no /"],
    [run("--ifname=sixteenletterslo"), "--ifname=sixteenletterslo", "15 characters"],
    [run("--net=foo"), "net", "foo", "slirp4netns", "pasta"],
    [run("--net="), "net", "slirp4netns"],
    [run("--propagation=upwards"), "propagation", "upwards", "rslave"],
    [run("--log-level=loud"), "log-level", "loud", "debug"],
    [run("--subid-source=nis"), "subid-source", "nis", "static"],
    [run("--copy-up=relative"), "--copy-up=relative is not an absolute path"],
    [run("--copy-up"), "copy-up"],
    [run("--copy-up="), "--copy-up"],
    [run("--cidr"), "cidr"],
    [run("--copy-up=/"), "--copy-up=/ is not possible"],
    [run("--copy-up=/tmp"), "--copy-up=/tmp is not possible"],
    [run("--copy-up=/no/such/directory"), "--copy-up=/no/such/directory: there is no such directory"],
    [run("--copy-up=/etc", "--propagation=rshared"), "--propagation=rshared does not go with --copy-up"],
    [run("--uid-map=0:1000:1"), "--uid-map needs --gid-map"],
    [run("--gid-map=0:1000:1"), "--gid-map needs --uid-map"],
    [run("--pidns=maybe"), "--pidns=maybe is neither true nor false", "--pidns=false"],
    [run("--pidns=1"), "--pidns=1 is neither true nor false"],
    [["run", "--net=host", "--", "dockerd"], "--net=host is not possible with dockerd", "--net=auto"],
    [run("--log-file=/proc/version"), "--log-file /proc/version", /EACCES|EIO/],
    [run("--log-file=/no/such/directory/log"), "--log-file /no/such/directory/log", "ENOENT"],
    [["idmap", "--user=nobody-of-this-name"], '--user "nobody-of-this-name"', "no user of that name"],
  ])("%j", async (argv, ...says) => {
    await using user = await testUser();
    await using running = rlkit(user, argv);
    await expectRefusal(user, running, { status: USAGE, says });
  });
});

/** Every program that a user finds in these directories, but for those named: as if their packages were not installed. */
async function pathWithout(user: User, ...names: string[]): Promise<string> {
  const path = join(user.home, "path");
  await mkdir(path, { recursive: true });
  for (const directory of ["/usr/sbin", "/usr/bin", "/usr/local/bin"]) {
    for (const name of await readdir(directory)) {
      if (!names.includes(name)) await symlink(join(directory, name), join(path, name)).catch(ignoreExisting);
    }
  }
  await symlink(join(nodeDirectory(), "node"), join(path, "node")).catch(ignoreExisting);
  return path;
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error; // an earlier directory has one of that name
}

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
    await using user = await testUser(undefined, { subids: ({ name }) => ({ uid: [`${name}:700000:65536`], gid: [] }) });
    await using running = rlkit(user, ["run", "--", "true"]);
    await expectRefusal(user, running, { status: FAILED, says: ["no subordinate gids in /etc/subgid", "--add-subgids"] });
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
      says: [/\/etc\/subuid line \d+: /, line(user.name), why, `name:start:count, for example ${user.name}:100000:65536`],
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
      says: [`${path}/newuidmap has neither the setuid bit nor the file capability`, `sudo chmod u+s ${path}/newuidmap`],
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
    const says = ["/usr/bin/newuidmap is under /usr/bin, which is mounted nosuid", "sudo mount -o remount,suid /usr/bin"];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("with no_new_privs set", async () => {
    await using user = await testUser();
    await using running = preparedRlkit(user, { script: "", setpriv: ["--no-new-privs"] }, ["run", "--", "true"]);
    await expectRefusal(user, running, { status: FAILED, says: ["no_new_privs is set", "newuidmap", "NoNewPrivileges="] });
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
      says: ["cannot make a user namespace: user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=28633"],
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
    await expectRefusal(user, running, { status: FAILED, says: [...says, "apt-get install passt slirp4netns", "--net=none"] });
  });

  test.each([
    ["pasta", "slirp4netns"],
    ["slirp4netns", "pasta"],
  ])("is no obstacle to --net=auto without %s: %s takes its place", async (missing, other) => {
    await using user = await testUser();
    const PATH = await pathWithout(user, missing);
    await using running = rlkit(user, ["run", "--", "true"], { env: { PATH } });
    const { code, stderr } = await running.result();
    expect({ code, msg: JSON.parse(stderr).msg }).toEqual({ code: 0, msg: expect.stringContaining(`network: ${other}, `) });
  });
});

describe("no command", () => {
  test.each([
    ["no-such-command-here", 127, "cannot run no-such-command-here: there is no such command", "PATH"],
    ["/no/such/file", 127, "cannot run /no/such/file: there is no such command", "check the path"],
    ["/etc/passwd", 126, "cannot run /etc/passwd: it can't be executed (EACCES)", "#! line"],
    ["/etc", 126, "cannot run /etc: it can't be executed (EACCES)", "executable"],
  ])("for run and exec: %s", async (program, status, ...says) => {
    await using user = await testUser();
    await using running = rlkit(user, ["run", "--net=none", "--", program]);
    await expectRefusal(user, running, { status, says });

    await using instance = rlkit(user, ["run", "--net=none", "--", "sleep", "100"]);
    await until(() => instanceRuns(user));
    await using exec = rlkit(user, ["exec", "--", program]);
    const { code, stderr } = await exec.result(DEADLINE);
    expect({ code, lines: stderr.trimEnd().split("\n") }).toEqual({ code: status, lines: [expect.anything()] });
    for (const words of says) expect(stderr).toMatch(words);
  });

  test("that a log at level info precedes is still one line beside the log", async () => {
    await using user = await testUser();
    await using running = rlkit(user, ["run", "--net=slirp4netns", "--log-level=info", "--", "no-such-command-here"]);
    const { code, stderr } = await running.result(DEADLINE);
    const lines = stderr.trimEnd().split("\n");
    expect({ code, spoken: lines.filter((line) => !line.startsWith("{")) }).toEqual({
      code: 127,
      spoken: [expect.stringMatching(/^rlkit: cannot run no-such-command-here: /)],
    });
    expect(await leftovers(user)).toEqual([]);
  });

  test("to exec where nothing runs", async () => {
    await using user = await testUser();
    await using running = rlkit(user, ["exec", "--", "true"]);
    await expectRefusal(user, running, { status: FAILED, says: ["nothing of this user's is running", "rlkit run -- COMMAND"] });
  });
});

async function instanceRuns(user: User): Promise<boolean> {
  await using exec = rlkit(user, ["exec", "--", "true"]);
  return (await exec.result()).code === 0;
}

describe("a session that is not there", () => {
  const dockerd = ["run", "--net=none", "--", "dockerd"];

  test("XDG_RUNTIME_DIR names a missing directory", async () => {
    await using user = await testUser();
    await using running = rlkit(user, dockerd, { env: { XDG_RUNTIME_DIR: "/run/user/no-such-user" } });
    const says = ["XDG_RUNTIME_DIR is /run/user/no-such-user, which is not a directory", "loginctl enable-linger"];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("XDG_RUNTIME_DIR names a missing directory, for a plain command", async () => {
    await using user = await testUser();
    await using running = rlkit(user, ["run", "--net=none", "--", "true"], { env: { XDG_RUNTIME_DIR: "/run/user/no-such-user" } });
    await expectRefusal(user, running, { status: FAILED, says: ["/run/user/no-such-user", "--state-dir"] });
  });

  test("HOME is not set, and no passwd entry says where it is", async () => {
    await using user = await testUser(undefined, { passwd: false });
    await using running = rlkit(user, dockerd, { env: { HOME: undefined } });
    const says = [`HOME is not set, and uid ${user.uid} has no passwd entry`, "export HOME="];
    await expectRefusal(user, running, { status: FAILED, says });
  });

  test("HOME is a directory that does not exist", async () => {
    await using user = await testUser();
    await using running = rlkit(user, dockerd, { env: { HOME: "/no/such/home" } });
    await expectRefusal(user, running, { status: FAILED, says: ["the home directory /no/such/home does not exist"] });
  });

  test("HOME is not set, but passwd says where it is: it is no obstacle", async () => {
    await using user = await testUser();
    await using running = rlkit(user, ["plan", "--json", "--", "dockerd"], { env: { HOME: undefined } });
    const { code, stdout } = await running.result();
    expect(code).toBe(0);
    expect(stdout).toContain(`HOME=${user.home}`);
  });

  test("neither XDG_RUNTIME_DIR nor HOME is one that the user can write to", async () => {
    await using user = await testUser();
    await rmdir(user.runtimeDir);
    await using running = rlkit(user, dockerd, { env: { XDG_RUNTIME_DIR: undefined, HOME: "/usr" } });
    const ended = await running.result(DEADLINE);
    await mkdir(user.runtimeDir);
    expect(ended).toMatchObject({
      code: FAILED,
      stderr: expect.stringMatching(/^rlkit: cannot make \/usr\/.docker\/run in place of XDG_RUNTIME_DIR: .*set XDG_RUNTIME_DIR.*\n$/),
    });
  });

  test("~/.docker/run is open to others", async () => {
    await using user = await testUser();
    await rmdir(user.runtimeDir);
    await mkdir(join(user.home, ".docker/run"), { recursive: true });
    await chmod(join(user.home, ".docker/run"), 0o755);
    await chown(join(user.home, ".docker/run"), user.uid, user.gid);
    await using running = rlkit(user, dockerd, { env: { XDG_RUNTIME_DIR: undefined } });
    const ended = await running.result(DEADLINE);
    await mkdir(user.runtimeDir);
    expect(ended).toMatchObject({
      code: FAILED,
      stderr: expect.stringMatching(/^rlkit: .*\.docker\/run.* is open to others or not yours.*chmod 0700.*\n$/),
    });
  });
});

describe("root", () => {
  test("is warned, and the command runs", async () => {
    const directory = await mkdtemp("/tmp/rlkit-root-");
    await using running = rlkit(ROOT, ["run", "--net=none", "--uid-map=0:0:1", "--gid-map=0:0:1", "--", "echo", "ran"], {
      env: { XDG_RUNTIME_DIR: directory },
    });
    const { code, stdout, stderr } = await running.result();
    await rmdir(directory); // fails if anything is left in it
    expect({ code, stdout }).toEqual({ code: 0, stdout: "ran\n" });
    const warning = { level: "warn", msg: expect.stringContaining("running as root") };
    expect(stderr.trimEnd().split("\n").map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining(warning));
  });
});
