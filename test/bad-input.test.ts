import { chmod, chown, mkdir, mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { DEADLINE, expectRefusal } from "./helpers/refusal.ts";
import { ROOT, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

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

    await using _instance = rlkit(user, ["run", "--net=none", "--", "sleep", "100"]);
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
    await expectRefusal(user, running, {
      status: FAILED,
      says: ["nothing of this user's is running", "rlkit run -- COMMAND"],
    });
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
    await using running = rlkit(user, ["run", "--net=none", "--", "true"], {
      env: { XDG_RUNTIME_DIR: "/run/user/no-such-user" },
    });
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
      stderr: expect.stringMatching(
        /^rlkit: cannot make \/usr\/.docker\/run in place of XDG_RUNTIME_DIR: .*set XDG_RUNTIME_DIR.*\n$/,
      ),
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

test("root is warned, and the command runs", async () => {
  const directory = await mkdtemp("/tmp/rlkit-root-");
  try {
    const argv = ["run", "--net=none", "--uid-map=0:0:1", "--gid-map=0:0:1", "--", "echo", "ran"];
    await using running = rlkit(ROOT, argv, { env: { XDG_RUNTIME_DIR: directory } });
    const { code, stdout, stderr } = await running.result();
    expect({ code, stdout }).toEqual({ code: 0, stdout: "ran\n" });
    expect(JSON.parse(stderr)).toMatchObject({ level: "warn", msg: expect.stringContaining("running as root") });
    expect(await readdir(directory)).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
