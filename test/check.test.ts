import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readlink, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broken, brokenMachines } from "./helpers/broken-machines.ts";
import { loginEnvironment } from "./helpers/environment.ts";
import { leftovers } from "./helpers/left.ts";
import { pathWithout } from "./helpers/path.ts";
import { ROOT, type Running, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

interface Check {
  id: string;
  verdict: string;
  found: string;
  fix: { who: string; lines: string[]; note: string | null }[];
}

interface Report {
  ok: boolean;
  checks: Check[];
  root: string[];
}

const wrong = ({ checks }: Report): Check[] =>
  checks.filter(({ verdict }) => verdict === "failure" || verdict === "warning");

/** What is not as it should be on the machine of the tests already: cgroup version 1, no Internet. */
let before: readonly string[];
let good: User;

beforeAll(async () => {
  good = await testUser();
  await using running = rlkit(good, ["check", "--json"]);
  before = wrong(JSON.parse((await running.result()).stdout)).map(({ id }) => id);
});

afterAll(() => good?.[Symbol.asyncDispose]());

/** Directories that root's commands write to: copies of them, which go with the mount namespace. */
const COPIED = ["/etc", "/usr", "/run", "/var/lib/dpkg"];

const prelude = (copied: readonly string[]): string => `set -e
mount -t tmpfs -o mode=755 none /mnt
overlay() {
  mkdir -p /mnt/overlay$1/upper /mnt/overlay$1/work
  chown --reference=$1 /mnt/overlay$1/upper
  chmod --reference=$1 /mnt/overlay$1/upper
  mount -t overlay -o lowerdir=$1,upperdir=/mnt/overlay$1/upper,workdir=/mnt/overlay$1/work none $1
}
for directory in ${copied.join(" ")}; do overlay $directory; done
hide() {
  package=$1
  shift
  for program; do
    for file in /usr/bin/$program /usr/sbin/$program; do
      if [ -e $file ]; then
        mkdir -p /mnt/packages/$package$(dirname $file)
        mv $file /mnt/packages/$package$file
      fi
    done
  done
}
`;

/** Installs what was hidden, and nothing else. */
const aptGet = `cat > /usr/bin/apt-get <<'END'
#!/bin/sh
[ "$1 $2" = "install -y" ] && cp -a --remove-destination /mnt/packages/"$3"/. /
END
chmod 755 /usr/bin/apt-get
`;

/** Prints a report, runs what it says that root and the user are to run, and prints another one. */
const epilogue = `
$AS_USER "$RLKIT" check --json > /mnt/before || true
cat /mnt/before
echo =====
lines() { node -e '
  const { checks } = JSON.parse(require("fs").readFileSync("/mnt/before"));
  const fixes = checks.flatMap(({ id, fix }) => (process.argv[2].split(",").includes(id) ? [] : fix));
  for (const { who, lines, optional } of fixes) if (who === process.argv[1] && !optional) console.log(lines.join("\\n"));
' $1 "$BEFORE"; }
if [ -n "$MENDS" ]; then
  lines root > /mnt/root
  sh -eu /mnt/root >&2
  { lines user; echo 'exec "$RLKIT" check --json'; } > /mnt/user
  chmod 644 /mnt/user
  $AS_USER sh /mnt/user
fi
`;

async function reports(broken: Broken, user: User): Promise<{ before: Report; after: Report | undefined }> {
  const { script = "", inUserNamespace, env = {}, before: words = [], mends } = broken;
  await using namespace = inUserNamespace ? await userNamespace() : undefined;
  const become = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const asUser = words[0] === "chroot" ? ["chroot", "/mnt/root-directory", ...become] : [...become, ...words];
  const enterRoot = words[0] === "chroot" ? "mkdir /mnt/root-directory; mount --rbind / /mnt/root-directory" : "";
  const enter = namespace === undefined ? [] : ["nsenter", "--user", "--target", String(namespace.pid)];
  const machine = inUserNamespace ? prelude(["/etc"]) : prelude(COPIED) + aptGet;
  const text = [machine, script, enterRoot, epilogue].join("\n");
  const command = [...enter, "unshare", "--mount", "--propagation=private", "sh", "-c", text];
  await using running = start(ROOT, command, {
    env: {
      ...loginEnvironment(user),
      ...env,
      ...{ NAME: user.name, ID: String(user.uid), RUN: user.runtimeDir, AS_USER: asUser.join(" ") },
      ...{ RLKIT: join(tree(), "bin", "rlkit"), MENDS: mends ?? "", BEFORE: before.join(",") },
      PATH: `${join(tree(), "bin")}:${loginEnvironment(user).PATH}`,
    },
    cwd: user.home,
  });
  const { stdout, stderr } = await running.result(30_000);
  const [first = "", second = ""] = stdout.split("=====\n");
  try {
    return { before: JSON.parse(first), after: mends === undefined ? undefined : JSON.parse(second) };
  } catch (cause) {
    throw new Error(`no two reports:\n${stdout}\n${stderr}`, { cause });
  }
}

/** A user namespace that has all ids, or all but the last ones, held by a process. */
async function userNamespace(): Promise<Running> {
  const holder = start(ROOT, ["unshare", "--user", "sleep", "100"]);
  const own = await readlink("/proc/self/ns/user");
  await until(async () => (await readlink(`/proc/${holder.pid}/ns/user`)) !== own);
  for (const kind of ["uid", "gid"]) await writeFile(`/proc/${holder.pid}/${kind}_map`, "0 0 4000000000\n");
  return holder;
}

function userOf({ subids }: Broken): Promise<User> {
  if (subids === undefined) return testUser();
  if (subids === false) return testUser(undefined, { passwd: false });
  const line = (name: string, text: string | undefined) => (text === undefined ? [] : [text.replace("$NAME", name)]);
  return testUser(undefined, {
    subids: ({ name }) => ({ uid: line(name, subids.uid), gid: line(name, subids.gid) }),
  });
}

const asPattern = (words: string | RegExp): RegExp =>
  typeof words === "string" ? new RegExp(words.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\\\$$/, "$")) : words;

describe("rlkit check names the cause and no other, and its commands mend it:", () => {
  test.each(brokenMachines)("$name", async (broken) => {
    await using user = await userOf(broken);
    const found = await reports(broken, user);
    const causes = wrong(found.before).filter(({ id }) => !before.includes(id));
    expect(causes.map(({ id }) => id)).toEqual([broken.id]);
    expect(causes[0]?.found).toMatch(asPattern(broken.says));
    if (broken.words !== undefined) expect(causes[0]?.fix.map(({ note }) => note).join()).toContain(broken.words);
    if (broken.mends === undefined) return;
    expect(causes[0]?.fix.some(({ who, lines }) => who === broken.mends && lines.length > 0)).toBe(true);
    expect(wrong(found.after ?? expect.unreachable()).map(({ id }) => id)).toEqual(before);
  });
});

test("a good machine: status 0, a table, and nothing left behind", async () => {
  await using user = await testUser();
  await using running = rlkit(user, ["check"]);
  const { code, stdout, stderr } = await running.result();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^✓ kernel /);
  expect(stdout).not.toContain("\u001b");
  expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(await leftovers(user)).toEqual([]);
  expect((await readdir(user.home, { recursive: true })).filter((name) => !/^\.(bash|profile)/.test(name))).toEqual([]);
});

test("a failure: status 1, with a block for root", async () => {
  await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
  await using running = rlkit(user, ["check"]);
  const { code, stdout } = await running.result();
  expect(code).toBe(1);
  const [, block = ""] = /sudo sh -eux <<'EOF'\n([\s\S]*)\nEOF\n/.exec(stdout) ?? [];
  expect(block).toMatch(/^usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+ \S+$/);
});

test("colours at a terminal, but not with NO_COLOR", async () => {
  await using user = await testUser();
  await using colourful = rlkit(user, ["check"], { terminal: true });
  expect((await colourful.result()).stdout).toContain("\u001b[32m✓\u001b[0m kernel");
  await using plain = rlkit(user, ["check"], { terminal: true, env: { NO_COLOR: "1" } });
  expect((await plain.result()).stdout).not.toContain("\u001b");
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s ends it in order, with nothing left behind", async (signal) => {
  await using user = await testUser();
  const PATH = await pathWithout(user, "pasta", "slirp4netns");
  // One that never gets ready: the check is then in the midst of it.
  const script = `#!/bin/sh\n[ "$1" = --help ] && echo "--netns-type" && exit\ntouch ${user.home}/started\nexec sleep 60\n`;
  await writeFile(join(PATH, "slirp4netns"), script, { mode: 0o755 });
  await using running = rlkit(user, ["check"], { env: { PATH } });
  await until(() => existsSync(join(user.home, "started")));
  running.kill(signal);
  const { code, stdout, stderr } = await running.result();
  expect({ code, stdout, stderr }).toEqual({
    code: 128 + constants.signals[signal],
    stdout: "",
    stderr: `rlkit: stopped by ${signal} before the check was complete\n`,
  });
  expect(await leftovers(user)).toEqual([]);
  expect((await readdir(user.home)).filter((name) => name.includes("rlkit"))).toEqual([]);
});

/** A sudo for tests: root by its setuid bit, without a question. */
async function testSudo(directory: string): Promise<void> {
  const source =
    "#include <unistd.h>\nint main(int c, char **v) { return setuid(0) || setgid(0) || execvp(v[1], v + 1); }\n";
  const file = join(directory, "sudo.c");
  await writeFile(file, source);
  await promisify(execFile)("cc", ["-o", join(directory, "sudo"), file]);
  await chmod(join(directory, "sudo"), 0o4755);
}

describe("--fix", () => {
  test("runs root's lines by sudo once they are agreed to, and checks again", async () => {
    await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
    const bin = join(user.home, "bin");
    await mkdir(bin);
    await testSudo(bin);
    const env = { PATH: `${bin}:${loginEnvironment(user).PATH}` };
    const line = /^ {2}usermod --add-subuids .*$/m;

    await using refused = rlkit(user, ["check", "--fix"], { terminal: true, env });
    await until(() => refused.stdout.includes("Run this as root? [y/N]"));
    expect(refused.stdout).toMatch(line);
    refused.write("\n");
    expect((await refused.result()).code).toBe(1);

    await using agreed = rlkit(user, ["check", "--fix"], { terminal: true, env });
    await until(() => agreed.stdout.includes("Run this as root? [y/N]"));
    agreed.write("y\n");
    const { code, stdout } = await agreed.result();
    expect(code).toBe(0);
    expect(stdout).toContain("A rootless dockerd can't run here yet");
    expect(stdout).toMatch(/A rootless dockerd can run here: 0 failures, .*\r\n$/);
  });

  test("asks nobody with --yes", async () => {
    await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
    const bin = join(user.home, "bin");
    await mkdir(bin);
    await testSudo(bin);
    const env = { PATH: `${bin}:${loginEnvironment(user).PATH}` };
    await using running = rlkit(user, ["check", "--fix", "--yes", "--json"], { env });
    const { code, stdout, stderr } = await running.result();
    expect({ code, ok: JSON.parse(stdout).ok }).toEqual({ code: 0, ok: true });
    expect(stderr).toMatch(/^\+ usermod --add-subuids/);
  });

  test.each([
    [["--fix"], "--fix asks before it runs anything as root, and there is no terminal to ask at"],
    [["--fix", "--yes"], "there is no sudo on PATH"],
  ])("%j says why it can't", async (options, why) => {
    await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
    const PATH = await pathWithout(user, "sudo");
    await using running = rlkit(user, ["check", ...options], { env: { PATH } });
    const { code, stderr } = await running.result();
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^rlkit: .+\n$/);
    expect(stderr).toContain(why);
  });

  test("has nothing to ask for where nothing is wrong", async () => {
    await using user = await testUser();
    await using running = rlkit(user, ["check", "--fix"]);
    expect(await running.result()).toMatchObject({ code: 0, stderr: "" });
  });
});
