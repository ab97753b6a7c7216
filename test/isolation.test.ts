import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { said } from "./helpers/instance.ts";
import { type LoopbackServer, loopbackServer } from "./helpers/loopback.ts";
import { ROOT, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;
let neighbour: User;
let web: LoopbackServer;

beforeAll(async () => {
  [user, neighbour] = [await testUser(), await testUser()];
  web = await loopbackServer("of the host");
});

afterAll(async () => {
  await web?.[Symbol.asyncDispose]();
  await neighbour?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

const programs = [
  ["rlkit", "run"],
  ["rootlesskit", ""],
] as const;

describe.each(programs)("%s %s", (program, command) => {
  /** What a script writes that runs inside; standard error as well. */
  async function inside(options: readonly string[], script: string): Promise<string> {
    const argv = [join(tree(), "bin", program), command, ...options, "bash", "-c", `exec 2>&1; ${script}`];
    await using run = start(user, argv.filter(Boolean));
    return (await run.result()).stdout;
  }

  test.each(["slirp4netns", "pasta"])(
    "--net=%s, no loopback: no address leads to the host's own programs",
    async (net) => {
      const fetch = (host: string) => `curl --silent --max-time 1 http://${host}:${web.port}/`;
      const script = ["127.0.0.1", "10.0.2.2", "10.0.2.3", "[::1]"].map(fetch).join("; ");
      expect(await inside([`--net=${net}`, "--disable-host-loopback"], script)).not.toContain("of the host");
    },
  );

  test("abstract sockets of the host", async () => {
    const name = `"\\0rlkit-test-${process.pid}-${program}"`;
    // Of the same Node as the client: the length of such a name is a matter of versions.
    const listen = `require("net").createServer((s) => s.end("of the host")).listen(${name}, () => console.log("ready"))`;
    await using server = start(ROOT, ["node", "-e", listen]);
    await said(server, "ready");
    const show = 'on("data", (d) => console.log(String(d))).on("error", (e) => console.log(e.code))';
    const connect = `node -e '"use strict"; require("net").connect(${name}).${show}'`;
    expect(await inside(["--net=none"], connect)).toBe("ECONNREFUSED\n");
    expect(await inside(["--net=host"], connect)).toBe("of the host\n"); // there, RootlessKit promises nothing
  });

  test("other users' processes and files", async () => {
    const secret = join(neighbour.home, "secret");
    await mkdir(neighbour.home, { recursive: true });
    await writeFile(secret, "theirs");
    await chmod(secret, 0o600);
    await using sleeper = start(neighbour, ["sleep", "60"]);
    const text = await inside(["--net=none"], `kill -0 ${sleeper.pid}; cat ${secret}; cat /etc/shadow; kill -0 1`);
    expect(text.match(/Operation not permitted|Permission denied/g)).toHaveLength(4);
    expect(text).not.toContain("theirs");
  });

  test("capabilities: none that a program of another user would inherit", async () => {
    const text = await inside(["--net=none"], "grep -E '^Cap(Inh|Amb)' /proc/self/status");
    expect(text).toBe("CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n");
  });

  test("umask, limits, niceness and working directory are the caller's", async () => {
    const bin = join(tree(), "bin", program);
    const show = "umask; ulimit -Sn; ulimit -Hn; ulimit -Sc; nice; pwd; cat /proc/self/oom_score_adj";
    const set = "umask 027; ulimit -Sn 99; ulimit -Hn 199; ulimit -Sc 0; echo 200 >/proc/self/oom_score_adj; cd /usr";
    const argv = [bin, command, "--net=none", "bash", "-c", show].filter(Boolean);
    await using run = start(user, ["nice", "-n", "3", "bash", "-c", `${set}; exec "$@"`, "bash", ...argv]);
    expect((await run.result()).stdout).toBe("0027\n99\n199\n0\n3\n/usr\n200\n");
  });
});
