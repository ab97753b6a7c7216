import { afterEach, beforeEach, expect, test } from "vitest";
import { logged } from "./helpers/docker.ts";
import { leftovers } from "./helpers/left.ts";
import { type Result, type Running, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});
afterEach(() => user?.[Symbol.asyncDispose]());

async function output(args: readonly string[], env = {}): Promise<Result> {
  await using run = rlkit(user, args, { env });
  return await run.result();
}

/** A shell that waits, in an instance of that name; undefined for the one without. */
async function started(name: string | undefined): Promise<Running> {
  const named = name === undefined ? [] : [`--instance=${name}`];
  const run = rlkit(user, ["run", ...named, "--net=none", "--", "sh", "-c", "echo ready; sleep 60"]);
  await until(() => run.stdout.includes("ready"), { what: run.stderr });
  return run;
}

const stateDir = async (args: readonly string[], env = {}) => {
  const { code, stdout, stderr } = await output(["status", "--json", ...args], env);
  return code === 0 ? JSON.parse(stdout).stateDir : stderr.trim();
};

test("instances with names run beside one without, and commands find the one that is meant", async () => {
  await using usual = await started(undefined);
  await using web = await started("web");
  await using ci = await started("ci");
  expect(await stateDir(["--instance=web"])).toBe(`${user.runtimeDir}/rlkit-web`);
  expect(await stateDir(["--instance=ci"])).toBe(`${user.runtimeDir}/rlkit-ci`);
  expect(await stateDir([], { RLKIT_INSTANCE: "ci" })).toBe(`${user.runtimeDir}/rlkit-ci`);
  expect(await stateDir(["--instance=web"], { RLKIT_INSTANCE: "ci" })).toBe(`${user.runtimeDir}/rlkit-web`);
  expect(await stateDir([])).toMatch(/rlkit-\d+$/);
  expect(await stateDir(["--instance=none"])).toMatch(/^rlkit: no instance none is running/);
  expect((await output(["exec", "--instance=web", "--", "printenv", "RLKIT_INSTANCE"])).stdout).toBe("web\n");
  expect((await output(["stop", "--instance=ci"])).code).toBe(0);
  expect(await ci.status).toBeDefined();
  expect(await stateDir(["--instance=web"])).toBe(`${user.runtimeDir}/rlkit-web`);
  for (const run of [usual, web]) run.kill("SIGTERM");
  for (const run of [usual, web]) await run.result();
  expect(await leftovers(user)).toEqual([]);
});

test("of two with names, one has to be named", async () => {
  await using _web = await started("web");
  await using _ci = await started("ci");
  expect(await stateDir([])).toMatch(
    /^rlkit: 2 instances are running\. To do: name one: --instance=ci, --instance=web$/,
  );
});

test("a name that is none is refused", async () => {
  const { code, stderr } = await output(["run", "--instance=a/b", "--", "true"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--instance=a/b is no name of an instance")]);
});

/** A docker client of an instance. */
const docker = (name: string, ...words: string[]): Running => {
  const client = `DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker-${name}.sock docker ${words.join(" ")}`;
  return rlkit(user, ["exec", `--instance=${name}`, "--", "sh", "-c", client]);
};

test("two dockerds side by side, each with images of its own", async () => {
  const dockerds = ["one", "two"].map((name) => ({
    name,
    run: rlkit(user, ["run", `--instance=${name}`, "--", "dockerd", "--storage-driver=vfs"]),
  }));
  try {
    for (const { name, run } of dockerds) {
      const isReady = () => logged(run).some(({ msg }) => /^dockerd is ready/.test(msg));
      await until(isReady, { what: run.stderr.slice(-2000), deadline: 30_000 });
      const { stdout } = await output(["env", `--instance=${name}`]);
      expect(stdout).toContain(`DOCKER_HOST=unix://${user.runtimeDir}/docker-${name}.sock\n`);
      await using volume = docker(name, "volume create", `of-${name}`);
      expect((await volume.result()).stdout).toBe(`of-${name}\n`);
    }
    await using list = docker("one", "volume ls -q");
    expect((await list.result()).stdout).toBe("of-one\n");
  } finally {
    for (const { run } of dockerds) run.kill("SIGTERM");
    for (const { run } of dockerds) await run.result(30_000);
  }
  // Of dockerd's own, empty: its exec root, and runc's.
  expect((await leftovers(user)).filter((line) => !/\/(docker-\w+|runc)$/.test(line))).toEqual([]);
});
