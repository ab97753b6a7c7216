import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { said } from "./helpers/instance.ts";
import { nameServer } from "./helpers/name-server.ts";
import { ROOT, type Running, start, tree } from "./helpers/run.ts";
import { hasLogged, messages } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const [FIRST, SECOND] = ["127.0.0.77", "127.0.0.78"];

let user: User;
const servers: AsyncDisposable[] = [];
/** In place of /etc/resolv.conf. */
let resolvConf: string;

beforeAll(async () => {
  user = await testUser();
  servers.push(await nameServer(FIRST, "192.0.2.1"), await nameServer(SECOND, "192.0.2.2"));
});

afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  resolvConf = join(user.home, "resolv.conf");
  await writeFile(resolvConf, `# a stub resolver\nnameserver ${FIRST}\n`);
});

afterEach(async () => {
  await using gone = start(ROOT, ["rm", "-rf", join(user.home, "etc")]);
  await gone.result();
});

/** Runs rlkit on a host with that /etc/resolv.conf (a mount that only it sees), with a command that answers questions for names. */
async function answering(prepare: string, ...options: string[]): Promise<Running> {
  const ask = 'echo ready; while read -r name; do getent ahostsv4 "$name" | head -1; echo "($name)"; done';
  const command = [join(tree(), "bin", "rlkit"), "run", "--copy-up=/etc", ...options, "--", "bash", "-c", ask];
  const asUser = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--init-groups", ...command];
  const env = { HOME: user.home, XDG_RUNTIME_DIR: user.runtimeDir, USER: user.name };
  const enter = ["unshare", "--mount", "bash", "-c", `${prepare} && exec "$@"`, "bash", ...asUser];
  const run = start(ROOT, enter, { env, cwd: user.home, stdin: "pipe" });
  await said(run, "ready");
  return run;
}

let asked = 0;

/** What the name stands for, as programs inside see it. */
async function address(run: Running): Promise<string> {
  asked += 1;
  const name = `name${asked}.example`;
  const before = run.stdout.length;
  run.write(`${name}\n`);
  await until(() => run.stdout.slice(before).includes(`(${name})`), { deadline: 20_000 });
  return /^\S+/.exec(run.stdout.slice(before))?.[0] ?? "";
}

const bound = () => `mount --bind ${resolvConf} /etc/resolv.conf`;

describe.each(["slirp4netns", "pasta"])("--net=%s", (net) => {
  test.each([[[]], [["--disable-host-loopback"]]])(
    "a stub resolver on the loopback address is asked, with %j",
    async (options) => {
      await using run = await answering(bound(), `--net=${net}`, ...options);
      expect(await address(run)).toBe("192.0.2.1");
    },
  );

  test("when the host's file is rewritten, the new name server is asked", async () => {
    await using run = await answering(bound(), `--net=${net}`);
    expect(await address(run)).toBe("192.0.2.1");
    await writeFile(resolvConf, `nameserver ${SECOND}\n`); // the same inode
    await until(async () => (await address(run)) === "192.0.2.2", { deadline: 20_000, what: "the other name server" });
    expect(messages(run, "error")).toEqual([]);
    if (net === "pasta") await hasLogged(run, /^pasta does not know of the host's new name servers/);
  });

  test("the file is a link to a place that is neither in /etc nor in /run", async () => {
    const etc = join(user.home, "etc");
    await mkdir(etc);
    await symlink(resolvConf, join(etc, "resolv.conf"));
    // An /etc of its own, as that of systems which keep the file elsewhere.
    const prepare = `cp -a --no-clobber /etc/. ${etc}/ && mount --bind ${etc} /etc`;
    await using run = await answering(prepare, `--net=${net}`);
    expect(await address(run)).toBe("192.0.2.1");
    expect(await readFile(resolvConf, "utf8")).toContain(FIRST);
  });
});
