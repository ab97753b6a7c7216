import { execFile } from "node:child_process";
import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

const run = promisify(execFile);
const base = `/opt/rlkit-test-${process.pid}`;
const directory = join(base, "lib");

let user: User;

beforeAll(async () => {
  user = await testUser();
  await mkdir(join(directory, "plain", "deep"), { recursive: true });
  await mkdir(join(directory, "leaving", "a", "b"), { recursive: true });
  await mkdir(join(directory, ".hidden"));
  await mkdir(join(base, "outside"));
  await writeFile(join(base, "outside", "target"), "from outside\n");
  await writeFile(join(directory, "file"), "of the host\n");
  await writeFile(join(directory, ".dotfile"), "dot\n");
  await writeFile(join(directory, "-n a\nme"), "odd\n");
  await writeFile(join(directory, "plain", "deep", "file"), "deep\n");
  await writeFile(join(directory, ".hidden", "file"), "hidden\n");
  // Links: within the directory, out of it at the top, within and out of a directory in it, and absolute ones.
  await symlink("file", join(directory, "link-beside"));
  await symlink("../outside/target", join(directory, "link-out"));
  await symlink("/etc/passwd", join(directory, "link-absolute"));
  await symlink("nowhere", join(directory, "link-broken"));
  await symlink("../deep/file", join(directory, "plain", "deep", "link-around"));
  await symlink("../../../file", join(directory, "leaving", "a", "b", "link-up"));
  await symlink("../../../../outside/target", join(directory, "leaving", "a", "b", "link-out"));
  await symlink("/etc/passwd", join(directory, "leaving", "link-absolute"));
  await chmod(base, 0o755);
});

afterAll(async () => {
  await user?.[Symbol.asyncDispose]();
  await rm(base, { recursive: true, force: true });
});

/** What a shell script writes in a run with the directory copied up. */
async function inside(script: string, options: readonly string[] = [`--copy-up=${directory}`]): Promise<string> {
  await using shell = rlkit(user, ["run", "--net=none", ...options, "--", "bash", "-c", script], { cwd: "/" });
  const { code, stdout, stderr } = await shell.result();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** Everything about the host's directory that a change would show in. */
async function snapshot(): Promise<string> {
  const format = "%P %y %m %u %g %s %T@ %C@ %l\\n";
  return (await run("find", [directory, "-printf", format])).stdout.split("\n").sort().join("\n");
}

describe("a directory that was copied up", () => {
  test("can be written to, and the host's stays as it was", async () => {
    const before = await snapshot();
    const script = `cd ${directory} && touch new && mkdir dir && ln -s x link && rm file .dotfile link-out
      rm -rf plain && echo mine >file && cat file && stat -c %a:%u . new`;
    expect(await inside(script)).toBe("mine\n1777:0\n644:0\n");
    expect(await snapshot()).toBe(before);
  });

  test("shows what the host's shows, under the same names", async () => {
    const read = `cd ${directory} && cat file .dotfile "$(printf -- '-n a\\nme' | sed '1s|^|./|')" plain/deep/file .hidden/file`;
    expect(await inside(read)).toBe("of the host\ndot\nodd\ndeep\nhidden\n");
    const names = `cd ${directory} && find . -mindepth 1 -maxdepth 1 ! -name '.ro*' -print0 | sort -z | tr '\\0' '/'`;
    const outside = await run("bash", ["-c", names]);
    expect(await inside(names)).toBe(outside.stdout);
  });

  test("has links for entries, links as they were, and mounts of directories whose links leave it", async () => {
    const script = `cd ${directory} && for name in file .hidden plain leaving link-out link-absolute link-broken; do
      stat -c '%n %F' "$name"; readlink "$name"; mountpoint -q "$name" && echo mounted; done; true`;
    const lines = (await inside(script))
      .replaceAll(/\.ro\d+/g, ".ro")
      .trim()
      .split("\n");
    expect(lines).toEqual([
      "file symbolic link",
      ".ro/file",
      ".hidden symbolic link",
      ".ro/.hidden",
      "plain symbolic link",
      ".ro/plain",
      "leaving directory",
      "mounted",
      "link-out symbolic link",
      "../outside/target",
      "link-absolute symbolic link",
      "/etc/passwd",
      "link-broken symbolic link",
      "nowhere",
    ]);
  });

  test("keeps relative links valid at every depth", async () => {
    const script = `cd ${directory} && cat link-beside link-out plain/deep/link-around leaving/a/b/link-up leaving/a/b/link-out
      cmp /etc/passwd link-absolute && cmp /etc/passwd leaving/link-absolute`;
    expect(await inside(script)).toBe("of the host\nfrom outside\ndeep\nof the host\nfrom outside\n");
  });

  test("may be named by a link, with a slash at the end, twice, or in a list", async () => {
    const other = `${base}/name`;
    await symlink("lib", other);
    for (const options of [
      [`--copy-up=${other}`],
      [`--copy-up=${directory}/`],
      [`--copy-up=${directory}`, `--copy-up=${other}`],
      [`--copy-up=${base}/outside,${directory}`],
      [`--copy-up=${base}/outside`, "--pidns", `--copy-up=${directory}`],
    ]) {
      const script = `touch ${directory}/new && cat ${directory}/leaving/a/b/link-out && echo ${directory}/.ro* | wc -w`;
      expect(await inside(script, options), String(options)).toBe("from outside\n1\n");
    }
  });

  test("leaves nothing, and nothing on /tmp inside", async () => {
    expect(await inside("mountpoint -q /tmp; echo $?; cat /proc/mounts | grep -c ' /tmp '; true")).toMatch(
      /^\d+\n0\n$/,
    );
    expect(await leftovers(user)).toEqual([]);
  });
});

describe("of this machine's", () => {
  /** Paths by `find -L`, one a line, as the user: outside, or inside with the directories copied up. */
  async function find(where: "outside" | "inside", what: string): Promise<string[]> {
    const script = `find -L ${what} -print 2>/dev/null; true`;
    if (where === "inside") return lines(await inside(script, ["--copy-up=/etc", "--copy-up=/run"]));
    await using shell = start(user, ["bash", "-c", script], { cwd: "/" });
    return lines((await shell.result()).stdout);
  }

  const lines = (output: string): string[] => output.trim().split("\n").sort();

  // Other tests make and remove files in /run/user.
  const run = "/run -name '.ro*' -prune -o -path /run/user -prune -o";
  const etc = "/etc -name '.ro*' -prune -o";

  test.each([
    ["/etc", `${etc} -readable`],
    ["/run", `${run} -readable`],
  ])("%s every name that is readable outside is readable inside", async (_, what) => {
    const outside = await find("outside", what);
    expect(outside.length).toBeGreaterThan(1);
    const within = new Set(await find("inside", what));
    expect(outside.filter((path) => !within.has(path))).toEqual([]);
  });

  test.each([
    ["/etc", `${etc} -type l`],
    ["/run", `${run} -type l`],
  ])("%s the same links are broken inside as outside", async (_, what) => {
    expect(await find("inside", what)).toEqual(await find("outside", what));
  });

  test("/etc and /run are tmpfs inside, and can be written to", async () => {
    const script = "touch /etc/new /run/new && rm /etc/passwd && stat -f -c %T /etc /run";
    expect(await inside(script, ["--copy-up=/etc,/run"])).toBe("tmpfs\ntmpfs\n");
  });
});

describe("is refused:", () => {
  test.each([
    ["/tmp", "/tmp is needed"],
    ["/tmp/below", "/tmp is needed"],
    ["/", "--copy-up=/"],
    ["relative", "absolute"],
    [`${base}/missing`, "no such directory"],
    [`${directory}/file`, `${directory}/file`],
  ])("--copy-up=%s", async (path, says) => {
    await using refused = rlkit(user, ["run", "--net=none", `--copy-up=${path}`, "--", "true"]);
    const { code, stderr } = await refused.result();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
    expect(stderr).toContain(says);
    expect(await leftovers(user)).toEqual([]);
  });
});
