import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Instance, instance } from "./helpers/instance.ts";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
let running: Instance;

beforeAll(async () => {
  user = await testUser();
  // Where dockerd's is, so that the others find it.
  running = await instance(user, ["--net=none", "-p", "127.0.0.1:0:80"], "echo ready; sleep 1000 & wait $!");
  await mkdir(join(user.home, "programs"));
  await writeFile(join(user.home, "programs", "dockerd"), "#!/bin/sh\necho Docker version 1.2.3, build 0\n", {
    mode: 0o755,
  });
});

afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** Select Graphic Rendition: colours, bold and the like. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const STYLE = /\u001b\[[\d;:]*m/;

const commands: [string, string][] = [
  ["check", "✓ kernel"],
  ["status", "target"],
  ["tree", "rlkit-ns"],
  ["ports list", "PROTO"],
  ["ports drivers", "builtin"],
  ["remap show USER", "65536"],
  ["remap check USER", "kernel"],
  ["plan -- true", "namespace"],
  ["config show", "net"],
  ["help", "rlkit run"],
  ["help network", "The network inside"],
  ["run --help", "--net"],
  ["run --net=none --log-level=debug -- true", ""],
  ["run --net=nonsense -- true", "nonsense"],
  ["install --from=programs --init=none --dry-run", "bin/dockerd"],
  ["install --from=programs --init=none --context=false", "links in ~/bin"],
];

describe.each(commands)("rlkit %s", (words, says) => {
  const output = async (options: Parameters<typeof rlkit>[2]): Promise<string> => {
    await using run = rlkit(user, words.replace("USER", user.name).split(" "), options);
    const { stdout, stderr } = await run.result();
    expect(stdout + stderr).toContain(says);
    return stdout + stderr;
  };

  test("has no escape codes where it is no terminal that reads it", async () => {
    expect(await output({})).not.toContain("\u001b");
  });

  test("has no colours with NO_COLOR at a terminal", async () => {
    expect(await output({ terminal: true, env: { NO_COLOR: "1" } })).not.toMatch(STYLE);
  });
});

test.each(["status", "ports list"])("rlkit %s --watch has no colours either", async (words) => {
  const args = [...words.split(" "), "--watch"];
  await using plain = rlkit(user, args);
  await using atTerminal = rlkit(user, args, { terminal: true, env: { NO_COLOR: "1" } });
  for (const run of [plain, atTerminal]) {
    await until(() => run.stdout.split("NEW/s").length > 2, { what: `two looks: ${run.stdout}` });
    expect(run.stdout).not.toMatch(STYLE);
  }
  expect(plain.stdout).not.toContain("\u001b");
});
