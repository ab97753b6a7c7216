import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeDirectory } from "./helpers/environment.ts";
import { leftovers } from "./helpers/left.ts";
import { pathWithout } from "./helpers/path.ts";
import { rlkit, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

// There is no systemd here: a program in its place says how it was called, and goes on as what it was to run, as --scope has it.

let user: User;
let env: Record<string, string>;

beforeEach(async () => {
  user = await testUser();
  const bin = join(user.home, "bin");
  await mkdir(bin);
  const words = "for word; do case $word in -*) shift;; *) break;; esac; done";
  await writeFile(join(bin, "systemd-run"), `#!/bin/sh\necho "$*" > ~/asked\n${words}\nexec "$@"\n`);
  await chmod(join(bin, "systemd-run"), 0o755);
  await mkdir(join(user.runtimeDir, "systemd"));
  await writeFile(join(user.runtimeDir, "systemd", "private"), "");
  for (const path of ["systemd", "systemd/private"]) await chown(join(user.runtimeDir, path), user.uid, user.gid);
  await chown(user.home, user.uid, user.gid);
  env = { PATH: `${bin}:${nodeDirectory()}:/usr/bin:/bin:/usr/sbin:/sbin`, ODD: "a b\n'c" };
});

afterEach(() => user?.[Symbol.asyncDispose]());

async function run(args: readonly string[]) {
  await using scoped = rlkit(user, ["run", ...args], { env });
  return await scoped.result();
}

test("--scope asks systemd for a group of the user's own, and goes on there as it was called", async () => {
  const script = 'cat ~/asked; printf "%s|" "$ODD" "$@"; ls /proc/self/fd | wc -l; ulimit -Sn';
  const { code, stdout, stderr } = await run([
    "--net=none",
    "--scope",
    "--",
    "sh",
    "-c",
    script,
    "sh",
    "--scope",
    "x y",
  ]);
  expect(code, stderr).toBe(0);
  const [asked, ...said] = stdout.split("\n");
  expect(asked?.replaceAll("\n", " ")).toContain(
    `--user --scope --quiet --property=Delegate=yes ${join(tree(), "bin", "rlkit")} run --net=none -- sh -c`,
  );
  const plain = await run(["--net=none", "--", "sh", "-c", script, "sh", "--scope", "x y"]);
  expect(said.join("\n")).toBe(plain.stdout.split("\n").slice(1).join("\n"));
  expect(said.join("\n")).toContain("a b\n'c|--scope|x y|");
});

test("its pid stays the same, and so do its signals and its status", async () => {
  await using scoped = rlkit(
    user,
    ["run", "--scope", "--net=none", "--", "sh", "-c", "trap 'exit 7' TERM; sleep 60 & echo here; wait"],
    { env },
  );
  await until(() => scoped.stdout.includes("here"), { what: scoped.stderr });
  scoped.kill("SIGTERM");
  expect(await scoped.result()).toMatchObject({ code: 7 });
});

test.each([
  ["no systemd-run", async () => ({ PATH: await pathWithout(user, "systemd-run") }), "systemd-run is not on PATH"],
  ["no user session", async () => ({ XDG_RUNTIME_DIR: "/run" }), "there is no systemd user session"],
] as const)("where there is %s it says so, and what to do", async (_, more, why) => {
  const options = { env: { ...env, ...(await more()) } };
  await using scoped = rlkit(user, ["run", "--scope", "--net=none", "--", "true"], options);
  const { code, stderr } = await scoped.result();
  expect(code).toBe(2);
  expect(stderr).toMatch(new RegExp(`^rlkit: --scope is not possible: ${why}\\. To do: log in by ssh`));
  expect((await leftovers(user)).filter((line) => !line.includes("/systemd"))).toEqual([]);
});
