import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Result, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;
let path: string;

beforeEach(async () => {
  user = await testUser();
  path = join(user.home, ".config", "rlkit", "config.json");
  await mkdir(join(path, ".."), { recursive: true });
  await chown(join(user.home, ".config"), user.uid, user.gid);
});
afterEach(() => user?.[Symbol.asyncDispose]());

const configure = (content: unknown): Promise<void> =>
  writeFile(path, typeof content === "string" ? content : JSON.stringify(content));

async function output(args: readonly string[], env = {}): Promise<Result> {
  await using run = rlkit(user, args, { env });
  return await run.result();
}

const mtu = async (...options: string[]): Promise<string> => {
  const { stdout, stderr } = await output(["run", ...options, "--", "cat", "/sys/class/net/tap0/mtu"]);
  return stdout.trim() || stderr;
};

test("what the file says holds for run, its instances' parts for those, and the command line goes before", async () => {
  await configure({ net: "slirp4netns", mtu: 1400, instances: { ci: { mtu: 1300 } } });
  expect(await mtu()).toBe("1400");
  expect(await mtu("--instance=ci")).toBe("1300");
  expect(await mtu("--instance=ci", "--mtu=1200")).toBe("1200");
  expect((await output(["plan", "--", "true"])).stdout).toContain("slirp4netns --mtu 1400");
});

test("under RootlessKit's name nobody looks at it", async () => {
  await configure("{");
  await using run = start(user, [join(tree(), "bin", "rootlesskit"), "echo", "as ever"]);
  expect(await run.result()).toMatchObject({ code: 0, stdout: "as ever\n", stderr: "" });
});

test("a mistake in it ends a run before it begins, with its place", async () => {
  await configure('{\n  "publsh": ["8080:80"]\n}');
  const { code, stderr } = await output(["run", "--", "true"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(`rlkit: ${path}:2: "publsh" is no option, did you mean publish?. To do:`);
});

test("config show: each option with where it comes from", async () => {
  await configure({ mtu: 1400, instances: { ci: { publish: ["8080:80", "8443:443"] } } });
  const shown = await output(["config", "show", "--json", "--net=none"], { RLKIT_INSTANCE: "ci" });
  const { settings } = JSON.parse(shown.stdout);
  const of = (name: string) => settings.find((each: { name: string }) => each.name === name);
  expect(of("instance")).toEqual({ name: "instance", value: "ci", from: "RLKIT_INSTANCE" });
  expect(of("net")).toEqual({ name: "net", value: "none", from: "command line" });
  expect(of("mtu")).toEqual({ name: "mtu", value: 1400, from: path });
  expect(of("publish")).toEqual({ name: "publish", value: ["8080:80", "8443:443"], from: `${path}, instances.ci` });
  expect(of("log-level")).toEqual({ name: "log-level", value: "info", from: "default" });
  const table = (await output(["config", "show"])).stdout;
  expect(table).toMatch(/^OPTION +VALUE +FROM$/m);
  expect(table).toMatch(new RegExp(`^mtu +1400 +${path}$`, "m"));
});
