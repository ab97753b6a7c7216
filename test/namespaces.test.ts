import { mkdir, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { instance } from "./helpers/instance.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import { rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const kinds = ["user", "mnt", "net", "pid", "uts", "ipc", "cgroup"] as const;

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

/** What a script writes in a run. */
async function inside(options: readonly string[], script: string, how = {}): Promise<string> {
  await using run = rlkit(user, ["run", ...options, "--", "bash", "-c", script], how);
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout;
}

const none = ["--net=none"];

describe("namespaces of their own for", () => {
  test.each([
    [["--net=host"], ["user", "mnt"]],
    [["--net=none"], ["user", "mnt", "net"]],
    [["--net=slirp4netns"], ["user", "mnt", "net"]],
    [["--net=pasta"], ["user", "mnt", "net"]],
    [
      ["--net=host", "--pidns"],
      ["user", "mnt", "pid"],
    ],
    [
      ["--net=host", "--utsns"],
      ["user", "mnt", "uts"],
    ],
    [
      ["--net=host", "--ipcns"],
      ["user", "mnt", "ipc"],
    ],
    [
      ["--net=host", "--cgroupns"],
      ["user", "mnt", "cgroup"],
    ],
    [["--net=none", "--pidns", "--utsns", "--ipcns", "--cgroupns"], [...kinds]],
  ])("%j: %j", async (options, own) => {
    const script = `for kind in ${kinds.join(" ")}; do readlink /proc/self/ns/$kind; done`;
    const links = (await inside(options, script)).trim().split("\n");
    const hosts = await Promise.all(kinds.map((kind) => readlink(`/proc/self/ns/${kind}`)));
    expect(kinds.filter((_, i) => links[i] !== hosts[i])).toEqual(own);
  });

  test("the process in child_pid and the command are the same", async () => {
    const all = ["--net=none", "--utsns", "--ipcns", "--cgroupns"];
    await using started = await instance(user, all, "echo ready; echo $$; read -r");
    const target = await until(() => /^ready\n(\d+)\n/.exec(started.run.stdout)?.[1]);
    for (const kind of kinds) {
      const link = (pid: string | number) => readlink(`/proc/${pid}/ns/${kind}`);
      expect(await link(started.childPid)).toBe(await link(target));
    }
    expect(await readlink(`/proc/${started.childPid}/root`)).toBe("/");
  });
});

test("root inside is the user outside, with all capabilities in the namespace", async () => {
  const script = "id -u; id -g; touch ~/made; stat -c %u:%g ~/made; grep ^CapEff /proc/self/status";
  const [uid, gid, made, caps] = (await inside(none, script)).trim().split("\n");
  expect([uid, gid, made]).toEqual(["0", "0", "0:0"]);
  expect(Number.parseInt(caps?.split("\t")[1] ?? "", 16)).toBeGreaterThan(0xffffffff);
});

test("--net=none has lo, up, and nothing else", async () => {
  const links = JSON.parse(await inside(none, "ip -j addr"));
  expect(links).toMatchObject([
    { ifname: "lo", flags: expect.arrayContaining(["UP"]), addr_info: [{ local: "127.0.0.1" }, { local: "::1" }] },
  ]);
});

test("/sys/class/net shows the interfaces of the network inside", async () => {
  expect(await inside(["--net=slirp4netns"], "ls /sys/class/net")).toBe("lo\ntap0\n");
});

test("a host name that is set inside stays inside with --utsns", async () => {
  const before = await readFile("/proc/sys/kernel/hostname", "utf8");
  expect(await inside([...none, "--utsns"], "hostname inside && hostname")).toBe("inside\n");
  expect(await readFile("/proc/sys/kernel/hostname", "utf8")).toBe(before);
});

describe("with --pidns", () => {
  const options = [...none, "--pidns"];

  test("/proc is the namespace's: init is 1, and only its own processes are there", async () => {
    const script =
      'echo $PPID; cat /proc/1/comm; ls /proc | grep -c "^[0-9]"; readlink /proc/self >/dev/null && echo self';
    const [parent, init, count, self] = (await inside(options, script)).trim().split("\n");
    expect([parent, init, self]).toEqual(["1", "rlkit-ns", "self"]);
    expect(Number(count)).toBeLessThanOrEqual(5); // init, bash, a subshell, ls, grep
  });

  test("child_pid is a pid of the host, of the process that is 1 inside", async () => {
    await using started = await instance(user, options, "echo ready; read -r");
    expect(await readFile(`/proc/${started.childPid}/status`, "utf8")).toMatch(/^NSpid:\t\d+\t1$/m);
  });
});

describe("--propagation", () => {
  /** The optional fields of / in mountinfo. */
  const ofRoot = `awk '$5 == "/" { print $7 }' /proc/self/mountinfo`;

  /** In a mount namespace whose / is shared, as systemd has it. */
  async function propagation(kind: string): Promise<string> {
    const script = "mount --make-rshared /";
    await using run = preparedRlkit(user, { script }, ["run", ...none, ...kindOption(kind), "--", "sh", "-c", ofRoot]);
    const { code, stdout, stderr } = await run.result();
    expect(code, stderr).toBe(0);
    return stdout.trim().replace(/:\d+$/, "");
  }

  const kindOption = (kind: string): string[] => (kind === "" ? [] : [`--propagation=${kind}`]);

  test.each([
    ["", "-"],
    ["private", "-"],
    ["rprivate", "-"],
    ["slave", "master"],
    ["rslave", "master"],
    ["shared", "shared"],
    ["rshared", "shared"],
  ])("%j makes / %j", async (kind, field) => {
    expect(await propagation(kind)).toBe(field);
  });

  test.each([
    ["rslave", "there"],
    ["rprivate", "missing"],
  ])("%s: a mount that the host makes later is %s", async (kind, outcome) => {
    const point = join(user.home, `point-${kind}`);
    await mkdir(point);
    // Root mounts once the command runs, and the command looks once root has mounted.
    const script = `mount --make-rshared /
      (until [ -e ${user.home}/${kind}-runs ]; do sleep 0.01; done; mount -t tmpfs none ${point}; touch ${user.home}/${kind}-mounted) &`;
    const command = `touch ~/${kind}-runs; until [ -e ~/${kind}-mounted ]; do sleep 0.01; done
      mountpoint -q ${point} && echo there || echo missing`;
    const args = ["run", ...none, `--propagation=${kind}`, "--", "bash", "-c", command];
    await using run = preparedRlkit(user, { script }, args);
    expect(await run.result()).toMatchObject({ code: 0, stdout: `${outcome}\n` });
  });

  test("what is mounted inside is not seen outside", async () => {
    const script = `mkdir -p ~/point && mount -t tmpfs none ~/point && mountpoint -q ~/point && echo ready; read -r`;
    await using _started = await instance(user, [...none, "--propagation=rshared"], script);
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(`${user.home}/point`);
  });
});

describe("the command inherits", () => {
  test("the working directory, also one with an odd name, and one that is copied up", async () => {
    const cwd = join(user.home, "two words\tand a tab é");
    await mkdir(cwd);
    expect(await inside(none, "pwd", { cwd })).toBe(`${cwd}\n`);
    expect(await inside([...none, "--copy-up=/etc"], "pwd; ls -d passwd", { cwd: "/etc" })).toBe("/etc\npasswd\n");
  });

  test.each([
    ["umask", "umask 027", "umask", "0027"],
    ["soft limit of open files", "ulimit -Sn 1024", "ulimit -Sn", "1024"],
    ["another soft limit of open files", "ulimit -Sn 512", "ulimit -Sn; cat /dev/null", "512"],
    ["hard limit of open files", "ulimit -Sn 512; ulimit -Hn 600", "ulimit -Hn", "600"],
    ["limit of the stack", "ulimit -s 4096", "ulimit -s", "4096"],
    ["core file limit", "ulimit -c 0", "ulimit -c", "0"],
    ["niceness", "renice -n 5 $$ >/dev/null", "nice", "5"],
    ["oom_score_adj", "echo 500 >/proc/self/oom_score_adj", "cat /proc/self/oom_score_adj", "500"],
  ])("the %s", async (_, set, show, value) => {
    const words = [join(tree(), "bin", "rlkit"), "run", ...none, "--", "bash", "-c", show];
    await using shell = start(user, ["bash", "-c", `${set}; exec "$@"`, "bash", ...words]);
    expect(await shell.result()).toMatchObject({ code: 0, stdout: `${value}\n` });
  });

  test("the environment, with odd values, and what RootlessKit adds to it", async () => {
    const env = {
      PLAIN: "1",
      EMPTY: "",
      UNICODE: "é日本語🦭",
      LINES: "one\ntwo\n",
      QUOTES: `"'\\$(x)`,
      ROOTLESSKIT_STATE_DIR: "/of/another",
      LD_LIBRARY_PATH: "/nowhere",
    };
    await using run = rlkit(user, ["run", ...none, "--", "cat", "/proc/self/environ"], { env });
    const got = variables((await run.result()).stdout);
    expect(got).toMatchObject({ ...env, ROOTLESSKIT_STATE_DIR: expect.stringContaining(user.runtimeDir) });
    expect(got).toMatchObject({ ROOTLESSKIT_PARENT_EUID: `${user.uid}`, ROOTLESSKIT_PARENT_EGID: `${user.gid}` });
    await using plain = start(user, ["cat", "/proc/self/environ"], { env });
    const names = Object.keys(variables((await plain.result()).stdout));
    const added = Object.keys(got).filter((name) => !names.includes(name));
    expect(added.sort()).toEqual(["ROOTLESSKIT_PARENT_EGID", "ROOTLESSKIT_PARENT_EUID"]);
    expect(names.filter((name) => !(name in got))).toEqual([]);
  });

  test("variables with names that no shell can set", async () => {
    const env = { "odd.name-2": "odd", "BASH_FUNC_f%%": "() { echo from a function; }" };
    await using run = rlkit(user, ["run", ...none, "--", "bash", "-c", "f; env | grep ^odd"], { env });
    expect(await run.result()).toMatchObject({ stdout: "from a function\nodd.name-2=odd\n" });
  });

  test("NODE_OPTIONS and NODE_EXTRA_CA_CERTS unchanged, which rlkit's own Node does not see", async () => {
    const env = { NODE_OPTIONS: "--no-such-option-of-node", NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt" };
    await using run = rlkit(user, ["run", ...none, "--", "cat", "/proc/self/environ"], { env });
    const { code, stdout, stderr } = await run.result();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(variables(stdout)).toMatchObject(env);
    expect(stdout).not.toContain("RLKIT_");
  });

  test("no file but standard input, output and error", async () => {
    for (const net of ["none", "slirp4netns", "pasta"]) {
      const args = ["run", `--net=${net}`, "--", "ls", "/proc/self/fd"];
      await using run = rlkit(user, args);
      expect((await run.result()).stdout, net).toBe("0\n1\n2\n3\n"); // 3 is ls's own
    }
  });

  test("no blocked and no ignored signal", async () => {
    const status = await inside(none, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
    expect(status).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  test("standard output as it is: a pipe that nobody reads ends it like any other command", async () => {
    const pipeline = `${join(tree(), "bin", "rlkit")} run --net=none -- yes | head -1; echo \${PIPESTATUS[0]}`;
    await using shell = start(user, ["bash", "-c", pipeline]);
    expect((await shell.result()).stdout).toBe("y\n141\n");
  });
});

test("the process in child_pid has ROOTLESSKIT_* in its environment, for the tools that enter", async () => {
  await using started = await instance(user, ["--net=none", "--pidns"], "echo ready; read -r");
  expect(variables(await readFile(`/proc/${started.childPid}/environ`, "utf8"))).toMatchObject({
    ROOTLESSKIT_STATE_DIR: started.stateDir,
    ROOTLESSKIT_PARENT_EUID: `${user.uid}`,
    ROOTLESSKIT_PARENT_EGID: `${user.gid}`,
  });
});

test("nsenter as nerdctl and the setup tool call it gets in", async () => {
  await using started = await instance(
    user,
    ["--net=none"],
    "mount -t tmpfs none /mnt; touch /mnt/inside; echo ready; read -r",
  );
  const command = ["nsenter", "--no-fork", "--wd=/", "--preserve-credentials", "-m", "-n", "-U", "-t"];
  await using enter = start(user, [...command, String(started.childPid), "--", "ls", "/mnt"]);
  expect(await enter.result()).toMatchObject({ code: 0, stdout: "inside\n", stderr: "" });
  expect(await readdir("/mnt")).not.toContain("inside");
});

function variables(environ: string): Record<string, string> {
  const entries = environ.split("\0").filter(Boolean);
  return Object.fromEntries(
    entries.map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
}
