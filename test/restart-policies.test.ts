import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "./helpers/client.ts";
import { fakeDockerd } from "./helpers/fake-dockerd.ts";
import { fetchLoop } from "./helpers/fetch-loop.ts";
import { said } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { commandLine, isRunning } from "./helpers/processes.ts";
import { type Running, rlkit } from "./helpers/run.ts";
import { hasLogged, messages } from "./helpers/supervised.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

/** Gives `$n` the number of the run, from 1 on. */
const COUNT = 'n=$(($(cat runs 2>/dev/null) + 1)); echo $n >runs; echo "run $n";';

/** How often the script has been run. */
const runs = async (): Promise<number> => Number(await readFile(join(user.home, "runs"), "utf8"));

/** Starts a script that counts its runs in a shell (`sh`) under rlkit. */
const counting = (options: readonly string[], script: string, stdin: "ignore" | "pipe" = "ignore"): Running =>
  rlkit(user, ["run", "--net=none", ...options, "--", "sh", "-c", `${COUNT} ${script}`], { stdin });

/** Waits until the script is in that run. */
const inRun = (run: Running, n: number) => said(run, `run ${n}\n`);

describe("--restart says when a command is started again", () => {
  test.each([
    ["nothing: the default", []],
    ["no", ["--restart=no"]],
  ])("%s: never, and its status is rlkit's", async (_, options) => {
    await using run = counting(options, "exit 3");
    expect(await run.result()).toMatchObject({ code: 3 });
    expect(await runs()).toBe(1);
    expect(messages(run, "warn")).toEqual([]);
  });

  test("on-failure: until it succeeds, with one line for each restart", async () => {
    await using run = counting(["--restart=on-failure"], "[ $n = 3 ] && exit 0; exit 5");
    expect(await run.result()).toMatchObject({ code: 0, stdout: "run 1\nrun 2\nrun 3\n" });
    expect(messages(run, "warn").map((line) => line.replace(/after \d\.\d s/, "after T"))).toEqual([
      "sh ended (status 5) after T; it starts again in 0.1 s (restart 1)",
      "sh ended (status 5) after T; it starts again in 0.2 s (restart 2)",
    ]);
    expect(await leftovers(user)).toEqual([]);
  });

  test("on-failure: not after a success", async () => {
    await using run = counting(["--restart=on-failure"], "exit 0");
    expect(await run.result()).toMatchObject({ code: 0 });
    expect(await runs()).toBe(1);
  });

  test("on-failure:2: twice at most, and then the status of the last run is rlkit's", async () => {
    await using run = counting(["--restart=on-failure:2"], "exit $((10 + n))");
    expect(await run.result()).toMatchObject({ code: 13, stdout: "run 1\nrun 2\nrun 3\n" });
  });

  test.each(["always", "unless-stopped"])("%s: after a success, too; TERM ends it", async (policy) => {
    await using run = counting([`--restart=${policy}`], "[ $n -lt 4 ] && exit 0; exec sleep 1000");
    await inRun(run, 4);
    run.kill("SIGTERM");
    expect(await run.result()).toMatchObject({ code: 143 });
    expect(await runs()).toBe(4);
    expect(messages(run, "warn")[0]).toContain("sh ended (status 0)");
    expect(await leftovers(user)).toEqual([]);
  });

  test("TERM in the pause before a restart ends it at once, with the status of the last run", async () => {
    await using run = counting(["--restart=always", "--restart-delay=30s"], "exit 4");
    await hasLogged(run, /it starts again in 30\.0 s/);
    run.kill("SIGTERM");
    expect(await run.result(2000)).toMatchObject({ code: 4 });
    expect(await runs()).toBe(1);
  });

  test("death by a signal is a failure, named in the log, and the shell's status of it is rlkit's", async () => {
    await using run = counting(["--restart=on-failure:1"], "kill -SEGV $$");
    expect(await run.result()).toMatchObject({ code: 139 });
    expect(await runs()).toBe(2);
    expect(messages(run, "warn")).toEqual([expect.stringContaining("sh ended (signal SIGSEGV) after")]);
  });

  test.each(["sometimes", "always:3", "on-failure:", "on-failure:-1", ""])("%j is refused", async (policy) => {
    await using run = counting([`--restart=${policy}`], "exit 0");
    expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining("--restart") });
  });
});

describe("the pauses between runs", () => {
  test("are each twice as long as the one before", async () => {
    const moment = "date +%s%N >>moments;";
    await using run = counting(
      ["--restart=always", "--restart-delay=50ms"],
      `${moment} [ $n = 5 ] && sleep 1000; exit 1`,
    );
    await inRun(run, 5);
    const moments = (await readFile(join(user.home, "moments"), "utf8")).trim().split("\n").map(Number);
    const pauses = moments.slice(1).map((at, i) => (at - (moments[i] ?? 0)) / 1e6);
    for (const [i, least] of [50, 100, 200, 400].entries()) expect(pauses[i]).toBeGreaterThanOrEqual(least);
    expect(pauses[3]).toBeLessThan(3000);
  });

  test.each([["--restart-delay=soon"], ["--restart-burst=5"], ["--stop-timeout=-1"], ["--health-interval=1h30"]])(
    "%s is refused",
    async (option) => {
      await using run = counting([option], "exit 0");
      const name = option.replace(/=.*/, "");
      expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining(name) });
    },
  );
});

describe("a crash loop", () => {
  const GIVING_UP = "sh ended 5 times within 60 s before it was ready: giving up (--restart-burst=5/60)";

  test("is given up after five runs, with the status of the last one", async () => {
    await using run = counting(["--restart=always", "--restart-delay=1ms"], "exit $((20 + n))");
    expect(await run.result()).toMatchObject({ code: 25 });
    expect(await runs()).toBe(5);
    expect(messages(run, "error")[0]).toBe(GIVING_UP);
    expect(await leftovers(user)).toEqual([]);
  });

  test("--restart-burst=2/10 gives up sooner, 0/60 never", async () => {
    await using few = counting(["--restart=always", "--restart-delay=1ms", "--restart-burst=2/10"], "exit 1");
    expect(await few.result()).toMatchObject({ code: 1 });
    expect(await runs()).toBe(2);
    expect(messages(few, "error")[0]).toContain("ended 2 times within 10 s");
    const many = ["--restart=on-failure", "--restart-delay=0", "--restart-burst=0/60"];
    await using run = counting(many, "[ $n = 30 ] && exit 0; exit 1");
    expect(await run.result()).toMatchObject({ code: 0 });
    expect(await runs()).toBe(30);
  });

  test("of a daemon shows the last 20 lines that it has written", async () => {
    const { env } = await fakeDockerd(user, {
      script: 'for i in $(seq 30); do echo "line $i of $0" >&2; done; echo "bad luck" >&2; exit 1',
    });
    const options = ["--net=none", "--restart-delay=1ms", "--restart-burst=3/60"];
    await using run = rlkit(user, ["run", ...options, "--", "dockerd"], { env });
    expect(await run.result()).toMatchObject({ code: 1 });
    const [first, ...lines] = messages(run, "error");
    expect(first).toBe("dockerd ended 3 times within 60 s before it was ready: giving up (--restart-burst=3/60)");
    expect(lines).toEqual([
      ...Array.from({ length: 19 }, (_, i) => expect.stringMatching(`^  \\| line ${i + 12} of `)),
      "  | bad luck",
    ]);
    // What it has written itself is there as well, unchanged and in order.
    const own = run.stderr.split("\n").filter((line) => line.startsWith("line ") || line === "bad luck");
    expect(own.map((line) => line.replace(/ of .*/, ""))).toEqual(
      Array.from({ length: 3 }, () => [...Array.from({ length: 30 }, (_, i) => `line ${i + 1}`), "bad luck"]).flat(),
    );
  });
});

describe("a command that is started again", () => {
  test.each([[["--net=none"]], [["--net=slirp4netns", "--pidns", "--utsns", "--ipcns", "--cgroupns"]]])(
    "is in the same namespaces with %j",
    async (options) => {
      const script =
        "cd /proc/self/ns; for ns in *; do readlink $ns; done >$HOME/ns.$n; [ $n = 3 ] && exec sleep 1000; exit 1";
      await using run = counting([...options, "--restart=always"], script);
      await inRun(run, 3);
      const namespaces = await until(async () => {
        const all = await Promise.all([1, 2, 3].map((n) => readFile(join(user.home, `ns.${n}`), "utf8")));
        return all.every((text) => /^uts:.*\n/m.test(text)) && all;
      });
      expect(namespaces[1]).toBe(namespaces[0]);
      expect(namespaces[2]).toBe(namespaces[0]);
    },
  );

  test("has the same environment, directory, limits and descriptors in each run", async () => {
    const script =
      "{ env | sort; pwd; umask; ulimit -a; ls -l /proc/self/fd; } >facts.$n; [ $n = 2 ] && exit 0; exit 1";
    await using run = counting(["--restart=on-failure"], script);
    expect(await run.result()).toMatchObject({ code: 0 });
    const facts = async (n: number) => {
      const text = await readFile(join(user.home, `facts.${n}`), "utf8");
      // ls says when it has seen each of its own descriptors, the last of which is the directory that it reads.
      return text
        .replace(/^.* (\d+ -> )/gm, "$1")
        .replace(/\/proc\/\d+\/fd/, "")
        .replaceAll(`facts.${n}`, "facts");
    };
    expect(await facts(1)).toContain("\n2 -> ");
    expect(await facts(2)).toBe(await facts(1));
  });

  test("goes on reading standard input where the run before has stopped", async () => {
    await using run = counting(["--restart=always"], "read -r line; echo got $line; exit 1", "pipe");
    await inRun(run, 1);
    run.write("one\n");
    await said(run, "got one");
    await inRun(run, 2);
    run.write("two\n");
    await said(run, "got two");
  });

  test("has its published ports from the start; clients who come while it is away wait for it", async () => {
    const port = await freePort();
    await writeFile(join(user.home, "index.html"), "the page");
    const command = ["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", user.home];
    const options = ["--net=none", "--restart=always", "-p", `127.0.0.1:${port}:8080`];
    await using run = rlkit(user, ["run", ...options, "--", ...command]);
    await hasLogged(run, /^published /);
    await using loop = fetchLoop([{ name: "the page", port }]);
    await loop.more();
    const kills: number[] = [];
    for (let i = 1; i <= 3; i += 1) {
      const isServer = ({ name }: { name: string }) => name === "busybox";
      const server = await until(async () => (await processesOf(user)).find(isServer));
      process.kill(server.pid, "SIGKILL");
      kills.push(performance.now());
      await loop.more(10);
      expect(isRunning(server.pid)).toBe(false);
    }
    expect(loop.failedBeside(kills)).toEqual([]);
    expect(messages(run, "warn").filter((line) => line.startsWith("busybox ended (signal SIGKILL)")).length).toBe(3);
  });

  test("finds nothing running that the one before has left, but for containers and their shims", async () => {
    const shim = join(user.home, "containerd-shim-runc-v2");
    await writeFile(shim, "#!/bin/sh\nsleep 1003 & wait\n"); // its child stands for a container
    await chmod(shim, 0o755);
    const stubborn = "setsid sh -c 'trap \"\" TERM; while :; do sleep 1002; done' &";
    const leave = `setsid sleep 1001 & ${stubborn} setsid ${shim} & until pgrep -f '^sleep 1003' && pgrep -f '^sleep 1002'; do :; done >&2`;
    await using run = counting(["--restart=always"], `[ $n = 1 ] && { ${leave}; exit 1; }; exec tail -f /dev/null`);
    const found = async () => (await processesOf(user)).map(({ pid }) => commandLine(pid));
    await inRun(run, 2);
    const own = /rlkit|^node /;
    expect((await found()).filter((line) => !own.test(line)).sort()).toEqual([
      `/bin/sh ${shim}`,
      "sleep 1003",
      "tail -f /dev/null",
    ]);
    expect(messages(run, "warn")).toContainEqual(expect.stringMatching(/^had to kill what sh left behind: .*sh/));
    run.kill("SIGTERM");
    expect(await run.result()).toMatchObject({ code: 143 });
    expect(await leftovers(user)).toEqual([]);
  });
});
