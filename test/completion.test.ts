import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { said } from "./helpers/instance.ts";
import { expectRefusal } from "./helpers/refusal.ts";
import { rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

async function script(shell: string): Promise<string> {
  await using run = rlkit(user, ["completion", shell]);
  const { code, stdout, stderr } = await run.result();
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

// Stands for rlkit where a line is typed: what the shell has made of it is what matters.
const echo = "rlkit() { printf 'got: '; printf '<%s>' \"$@\"; echo; }\n";

const shells = {
  bash: { file: ".bashrc", head: "", argv: ["bash", "-i"] },
  zsh: { file: ".zshrc", head: "autoload -Uz compinit; compinit -D\n", argv: ["zsh", "-i"] },
};

const lines = [
  ["sta", ["status"]],
  ["run --net=pas", ["run", "--net=pasta"]],
  ["run --net pas", ["run", "--net", "pasta"]],
  ["run -p 8080:80 --pidn", ["run", "-p", "8080:80", "--pidns"]],
  ["run --source-ip-transparent=fal", ["run", "--source-ip-transparent=false"]],
  ["run --log-file=a-fi", ["run", "--log-file=a-file"]],
  ["exec --state-dir=a-dir", ["exec", "--state-dir=a-directory/"]],
  ["link a-dir", ["link", "a-directory/"]],
  ["run -- setpri", ["run", "--", "setpriv"]],
  ["run --pidns --net=none setpri", ["run", "--pidns", "--net=none", "setpriv"]],
  ["ports lis", ["ports", "list"]],
  ["ports add 8080:80 --js", ["ports", "add", "8080:80", "--json"]],
  ["completion fi", ["completion", "fish"]],
] as const;

const isInstalled = (program: string): boolean => existsSync(`/usr/bin/${program}`);

beforeEach(async () => {
  await writeFile(join(user.home, "a-file"), "");
  await mkdir(join(user.home, "a-directory"));
});

describe.each(["bash", "zsh"] as const)("%s at a terminal", (shell) => {
  test.skipIf(!isInstalled(shell)).each(lines)("completes: rlkit %s", async (typed, expected) => {
    const { file, head, argv } = shells[shell];
    await writeFile(join(user.home, file), `${head}${await script(shell)}${echo}`);
    await using run = start(user, argv, { terminal: true });
    run.write(`rlkit ${typed}\t\n`);
    // zsh takes the slash behind a directory away again.
    const words = expected.map((word) => (shell === "zsh" ? word.replace(/\/$/, "") : word));
    await said(run, `got: ${words.map((word) => `<${word}>`).join("")}`);
  });
});

test.skipIf(!isInstalled("fish")).each(lines)("fish completes: rlkit %s", async (typed, expected) => {
  const file = join(user.home, "rlkit.fish");
  await writeFile(file, await script("fish"));
  await using run = start(user, ["fish", "-c", `source ${file}; complete -C "rlkit ${typed}"`]);
  const { stdout } = await run.result();
  expect(stdout.split("\n").map((line) => line.split("\t", 1)[0])).toContain(expected.at(-1));
});

test.each([
  [[], "takes the name of one shell"],
  [["tcsh"], "got tcsh"],
  [["bash", "zsh"], "got bash zsh"],
])("rlkit completion %j is refused", async (words, says) => {
  await using run = rlkit(user, ["completion", ...words]);
  await expectRefusal(user, run, { status: 2, says: [says, "rlkit completion bash, rlkit completion zsh"] });
});
