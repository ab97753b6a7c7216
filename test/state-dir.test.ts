import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { type Running, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const WAITS = "echo ready; read -r; exit 5";

let user: User;
let stateDir: string;

beforeEach(async () => {
  user = await testUser();
  stateDir = join(user.runtimeDir, "state");
});

afterEach(() => user[Symbol.asyncDispose]());

/** Name, type and mode of every entry, as `ls -l` tells them. */
async function list(directory: string): Promise<Record<string, string>> {
  const names = await readdir(directory);
  const rows = names.map(async (name) => {
    const found = await lstat(join(directory, name));
    expect(found.uid, name).toBe(user.uid);
    const type = found.isSocket() ? "socket" : found.isFile() ? "file" : found.isFIFO() ? "fifo" : "other";
    return [name, `${type} ${(found.mode & 0o7777).toString(8)}`];
  });
  return Object.fromEntries(await Promise.all(rows));
}

const base = { lock: "file 600", child_pid: "file 444", "api.sock": "socket 600" };
const named = { "resolv.conf": "file 644", hosts: "file 644" };

describe("while the command runs the state directory holds", () => {
  test.each([
    ["host", base],
    ["none", base],
    ["slirp4netns", { ...base, ...named }],
    ["pasta", { ...base, ...named, "pasta.pid": "fifo 600" }],
  ])("with --net=%s: %j", async (net, files) => {
    await using _started = await instance(user, [`--net=${net}`], WAITS);
    expect(await list(stateDir)).toEqual(files);
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
  });

  test("an empty lock, and the pid of the process inside without a newline", async () => {
    await using started = await instance(user, ["--net=none"], WAITS);
    expect(await readFile(join(stateDir, "lock"), "utf8")).toBe("");
    expect(await readFile(join(stateDir, "child_pid"), "utf8")).toMatch(/^[1-9]\d*$/);
    expect(await readFile(`/proc/${started.childPid}/cmdline`, "utf8")).toMatch(/rlkit-ns\0init/);
  });

  test("the same modes under a umask of 077 and of 0", async () => {
    for (const umask of ["077", "000"]) {
      const command = `umask ${umask}; exec "$@"`;
      const inner = ["run", "--net=slirp4netns", "--", "sh", "-c", 'cd "$ROOTLESSKIT_STATE_DIR"; stat -c %a,%n *'];
      const { stdout } = await outcome(sh(user, command, inner));
      const modes = ["600,api.sock", "444,child_pid", "644,hosts", "600,lock", "644,resolv.conf"];
      expect(stdout.trim().split("\n"), umask).toEqual(modes);
    }
  });
});

/** Runs rlkit by a shell's script, as `"$@"`. */
function sh(of: User, script: string, args: readonly string[]): Running {
  return start(of, ["sh", "-c", script, "sh", join(tree(), "bin", "rlkit"), ...args]);
}

async function outcome(run: Running) {
  await using ended = run;
  return await ended.result();
}

test("child_pid and api.sock are there before the command runs, each time", async () => {
  const script = 'cd "$ROOTLESSKIT_STATE_DIR" && cat child_pid && test -S api.sock && echo " and a socket"';
  for (let round = 0; round < 20; round += 1) {
    const { stdout, stderr } = await outcome(rlkit(user, ["run", "--net=none", "--", "sh", "-c", script]));
    expect(stdout, `${stderr} in round ${round}`).toMatch(/^\d+ and a socket\n$/);
  }
});

describe("at the end", () => {
  test("a directory that was there before and empty is removed as well", async () => {
    await own(mkdir(stateDir), stateDir);
    await using started = await instance(user, ["--net=none"], WAITS);
    started.run.write("\n");
    expect(await started.run.result()).toMatchObject({ code: 5 });
    expect(await leftovers(user)).toEqual([]);
  });

  test("what others have put in is removed with it", async () => {
    await using started = await instance(user, ["--net=none"], `mkdir -p "$ROOTLESSKIT_STATE_DIR"/sub/dir; ${WAITS}`);
    await writeFile(join(stateDir, "more"), "");
    started.run.write("\n");
    await started.run.result();
    expect(await leftovers(user)).toEqual([]);
  });

  test("directories above it that had to be made stay", async () => {
    const deep = join(user.home, "a", "b", "state");
    await using run = rlkit(user, ["run", "--net=none", `--state-dir=${deep}`, "--", "true"]);
    expect(await run.result()).toMatchObject({ code: 0, stderr: "" });
    expect(await readdir(join(user.home, "a", "b"))).toEqual([]);
  });

  test("one that is named by a relative path is removed too, and inside it is absolute", async () => {
    const args = [
      "run",
      "--net=none",
      "--state-dir=here",
      "--",
      "sh",
      "-c",
      'cd /; test -S "$ROOTLESSKIT_STATE_DIR/api.sock"',
    ];
    await using run = rlkit(user, args);
    expect(await run.result()).toMatchObject({ code: 0, stderr: "" });
    await expect(stat(join(user.home, "here"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

/** Gives a path that root has just made to the user. */
async function own(made: Promise<unknown>, path: string): Promise<void> {
  await made;
  await chown(path, user.uid, user.gid);
}

describe("a second start with the same directory", () => {
  async function refused(...more: string[]) {
    await using second = rlkit(user, ["run", "--net=none", `--state-dir=${stateDir}`, ...more, "--", "true"]);
    return await second.result(3000);
  }

  test.each([
    ["is refused and names the first", async () => {}],
    ["is refused also when somebody has removed the file lock", () => rm(join(stateDir, "lock"))],
  ])("%s, which goes on", async (_, prepare) => {
    await using first = await instance(user, ["--net=none"], WAITS);
    await prepare();
    const { code, stderr } = await refused();
    expect(code).toBe(125);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
    expect(stderr).toContain(`in use by pid ${first.run.pid} (rlkit run --state-dir=${stateDir}`);
    expect(await list(stateDir)).toMatchObject({ child_pid: base.child_pid, "api.sock": base["api.sock"] });
    first.run.write("\n");
    expect(await first.run.result()).toMatchObject({ code: 5 });
    expect(await leftovers(user)).toEqual([]);
  });

  test("works once the first has ended", async () => {
    for (let round = 0; round < 3; round += 1) expect(await refused()).toMatchObject({ code: 0, stderr: "" });
  });

  test("works by exactly one of ten that start at once", async () => {
    const script = ["run", "--net=none", `--state-dir=${stateDir}`, "--", "bash", "-c", "echo ran; read -r"];
    const all = Array.from({ length: 10 }, () => rlkit(user, script, { stdin: "pipe" }));
    try {
      const losers = await Promise.all(all.map(async (run) => (await Promise.race([run.status, ran(run)]))?.code));
      expect(losers.filter((code) => code === 125).length).toBe(9);
      expect(all.filter(({ stdout }) => stdout === "ran\n").length).toBe(1);
    } finally {
      for (const run of all) await run[Symbol.asyncDispose]();
    }
  });
});

test("starts while another run ends either work or are refused, and nothing is left", async () => {
  const args = ["run", "--net=none", `--state-dir=${stateDir}`, "--", "true"];
  const several = async () => {
    for (let round = 0; round < 6; round += 1) {
      const { code, stderr } = await outcome(rlkit(user, args));
      if (code !== 0)
        expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining("it is in use by") });
    }
  };
  await Promise.all(Array.from({ length: 8 }, several));
  expect(await leftovers(user)).toEqual([]);
});

async function ran(run: Running): Promise<undefined> {
  await until(() => run.stdout === "ran\n").catch(() => {});
}

describe("a directory is refused, and nothing in it is touched:", () => {
  async function refuses(path: string, why: string): Promise<void> {
    await using run = rlkit(user, ["run", "--net=none", `--state-dir=${path}`, "--", "true"]);
    const { code, stderr } = await run.result(3000);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
    expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining(path) });
    expect(stderr).toContain(why);
  }

  test("a directory with something in it that is no state directory", async () => {
    const path = join(user.home, "documents");
    await own(mkdir(path), path);
    await own(writeFile(join(path, "letter"), "Dear"), join(path, "letter"));
    await refuses(path, "not empty");
    expect(await readdir(path)).toEqual(["letter"]);
    await refuses(user.home, "not empty");
    expect(await readFile(join(path, "letter"), "utf8")).toBe("Dear");
  });

  test("a directory with something in it and a file of the user's that happens to be called lock", async () => {
    const path = join(user.home, "project");
    await own(mkdir(path), path);
    for (const name of ["lock", "source.c"]) await own(writeFile(join(path, name), ""), join(path, name));
    await refuses(path, "not empty");
    expect((await readdir(path)).sort()).toEqual(["lock", "source.c"]);
  });

  test("a file", async () => {
    const path = join(user.home, "file");
    await own(writeFile(path, "text"), path);
    await refuses(path, "");
    expect(await readFile(path, "utf8")).toBe("text");
  });

  test("a symbolic link to somebody else's directory, even one that all may write to", async () => {
    const elsewhere = await mkdtemp("/var/tmp/rlkit-elsewhere-");
    try {
      await chmod(elsewhere, 0o777);
      const path = join(user.home, "link");
      await symlink(elsewhere, path);
      await refuses(path, "link");
      expect(await readdir(elsewhere)).toEqual([]);
      await writeFile(join(elsewhere, "lock"), "");
      await refuses(path, "link");
      await refuses(elsewhere, "belongs to uid 0");
      expect(await readdir(elsewhere)).toEqual(["lock"]);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  test("a lock that is a symbolic link", async () => {
    await own(mkdir(stateDir), stateDir);
    await own(writeFile(join(user.home, "precious"), "x", { mode: 0o400 }), join(user.home, "precious"));
    await symlink(join(user.home, "precious"), join(stateDir, "lock"));
    await refuses(stateDir, "lock");
    expect(await readFile(join(user.home, "precious"), "utf8")).toBe("x");
  });

  test.each([
    ["below a directory that the user can't write to", "/opt/rlkit/state"],
    ["below a file", "/etc/passwd/state"],
    ["below /proc", "/proc/rlkit"],
    ["with a name that is too long", `/tmp/${"x".repeat(300)}`],
  ])("one %s", async (_, path) => {
    await refuses(path, "");
  });

  test("one of the user's own without write permission", async () => {
    const path = join(user.home, "read-only");
    await own(mkdir(path), path);
    await chmod(path, 0o555);
    await refuses(path, "EACCES");
  });
});

test("a path that is too long for a socket's address serves", async () => {
  const path = join(user.home, "x".repeat(100));
  const script = 'cd "$ROOTLESSKIT_STATE_DIR" && curl --silent --unix-socket api.sock http://rootlesskit/v1/info';
  await using run = rlkit(user, ["run", "--net=none", `--state-dir=${path}`, "--", "sh", "-c", script]);
  expect(await run.result()).toMatchObject({ code: 0, stdout: expect.stringContaining(path) });
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a symbolic link to a directory of the user's own serves, and stays, as does the directory, empty", async () => {
  const path = join(user.home, "link");
  await own(mkdir(join(user.home, "real")), join(user.home, "real"));
  await symlink(join(user.home, "real"), path);
  await using run = rlkit(user, ["run", "--net=none", `--state-dir=${path}`, "--", "true"]);
  expect(await run.result()).toMatchObject({ code: 0, stderr: "" });
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
  expect(await readdir(path)).toEqual([]);
});
