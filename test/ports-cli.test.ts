import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { exchange, freePort, held } from "./helpers/client.ts";
import { said } from "./helpers/instance.ts";
import { type Inside, inside, type Port } from "./helpers/ports.ts";
import { type Result, rlkit, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const USAGE = 2;
const FAILED = 125;

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function ports(args: readonly string[], of: User = user, env: Record<string, string> = {}): Promise<Result> {
  await using running = rlkit(of, ["ports", ...args], { env });
  return await running.result();
}

/** The output of a command that succeeds and says nothing on standard error. */
async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await ports(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** Expects one line of error. */
async function refused(args: readonly string[], status: number, ...says: (string | RegExp)[]): Promise<void> {
  const { code, stdout, stderr } = await ports(args);
  expect({ code, stdout, lines: stderr.trimEnd().split("\n").length }).toEqual({ code: status, stdout: "", lines: 1 });
  for (const words of says) expect(stderr).toMatch(words);
}

const cells = (table: string): string[][] =>
  table
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));

describe("rlkit ports", () => {
  test.each([[[]], [["--help"]], [["help"]]])("%j shows its commands", async (args) => {
    const help = await output(...args);
    for (const name of ["list", "add", "remove", "drivers"])
      expect(help).toMatch(new RegExp(`^ +rlkit ports ${name}\\b`, "m"));
    expect(help).not.toContain("rlkit ports run");
  });

  test("and its commands are in rlkit's help", async () => {
    await using running = rlkit(user, ["--help"]);
    const { stdout } = await running.result();
    for (const name of ["run", "ports list", "ports add"])
      expect(stdout).toMatch(new RegExp(`^ +rlkit ${name}\\b`, "m"));
  });

  test.each<[string[], ...(string | RegExp)[]]>([
    [["lst"], '"ports lst" is not a command of rlkit, did you mean ports list?', "ports drivers"],
    [["rm", "1"], '"ports rm" is not a command of rlkit', "the commands are ports list, ports add, ports remove"],
    [["list", "--jsn"], "unknown option --jsn, did you mean --json?", "rlkit ports list --help"],
    [["list", "1"], "rlkit ports list takes no arguments", '"1"'],
    [["list", "--interval=5"], "--interval goes with --watch"],
    [["list", "--watch", "--interval=0"], "--interval=0 is too small"],
    [["list", "--watch", "--interval=x"], "--interval needs a whole number"],
    [["add"], "no port to publish", "rlkit ports add 127.0.0.1:8080:80/tcp"],
    [["add", "8080"], 'unexpected PortSpec string: "8080"'],
    [["add", "8080:80/xyz"], "xyz"],
    [["remove"], "no port to remove", "rlkit ports list"],
    [["remove", "abc"], 'unexpected PortSpec string: "abc"'],
    [["drivers", "x"], "rlkit ports drivers takes no arguments"],
  ])("%j is a wrong command line", (args, ...says) => refused(args, USAGE, ...says));

  test.each([[["list"]], [["add", "8080:80"]], [["remove", "1"]]])("%j where nothing runs", async (args) => {
    await refused(args, FAILED, "nothing of this user's is running under rlkit", "rlkit run -- COMMAND");
    const nowhere = join(user.home, "d".repeat(150));
    await refused([...args, `--state-dir=${nowhere}`], FAILED, `nothing runs with the state directory ${nowhere}`);
  });

  test("drivers shows them all where nothing runs", async () => {
    const table = cells(await output("drivers"));
    expect(table.map(([name]) => name)).toEqual(["DRIVER", "builtin", "slirp4netns", "pesto", "implicit", "none"]);
  });
});

describe("of a running instance", () => {
  let run: Inside;
  let childPort: number;

  beforeAll(async () => {
    run = await inside(user, ["--net=slirp4netns", "--port-driver=builtin", "--pidns"]);
    ({ port: childPort } = await run.listen("echo"));
  });

  afterEach(async () => {
    const { stdout } = await ports(["list", "--json", dir()]);
    const ids = JSON.parse(stdout).map(({ id }: Port) => String(id));
    if (ids.length > 0) await output("remove", ...ids, dir());
  });

  afterAll(() => run?.[Symbol.asyncDispose]());

  const dir = () => `--state-dir=${run.stateDir}`;

  test("add publishes, and prints ids and specs", async () => {
    const port = await freePort();
    const stdout = await output("add", `127.0.0.1:${port}:${childPort}`, "127.0.0.1:0:53/udp", dir());
    const [, first, picked] = /^(\d+) 127\.0\.0\.1:\d+:\d+\/tcp\n\d+ 127\.0\.0\.1:(\d+):53\/udp\n$/.exec(stdout) ?? [];
    expect(stdout).toContain(`${first} 127.0.0.1:${port}:${childPort}/tcp\n`);
    expect(Number(picked)).toBeGreaterThan(1023);
    expect(await exchange({ port }, "hello")).toBe("hello");
  });

  test("add --json prints what the API says", async () => {
    const added = JSON.parse(await output("add", "--json", dir(), `[::1]:0:[127.0.0.1]:${childPort}/tcp6`));
    expect(added).toEqual([
      {
        id: expect.any(Number),
        spec: { proto: "tcp6", parentIP: "::1", parentPort: expect.any(Number), childIP: "127.0.0.1", childPort },
      },
    ]);
    expect(await exchange({ port: added[0].spec.parentPort, host: "::1" }, "six")).toBe("six");
  });

  test("add publishes all or none", async () => {
    await using taken = await held(0, "127.0.0.1");
    const specs = ["127.0.0.1:0:80", `127.0.0.1:${taken.port}:80`];
    const says = `listen tcp 127.0.0.1:${taken.port}: bind: address already in use`;
    await refused(["add", ...specs, dir()], FAILED, says, "To do: ");
    expect(await output("list", "--json", dir())).toBe("[]\n");
  });

  test("list shows ports and what goes through them", async () => {
    const [{ id, spec } = expect.unreachable()]: Port[] = JSON.parse(
      await output("add", "--json", `127.0.0.1:0:${childPort}`, dir()),
    );
    await exchange({ port: spec.parentPort }, "x".repeat(2048));
    const counted = await until(async () => {
      const table = cells(await output("list", dir()));
      return table[1]?.[4] === "0" && table[1]?.[5] === "1" && table;
    });
    const { parentPort } = spec;
    expect(counted).toEqual([
      ["ID", "PROTO", "HOST", "INSIDE", "OPEN", "TOTAL", "IN", "OUT"],
      [String(id), "tcp", `127.0.0.1:${parentPort}`, `127.0.0.1:${childPort}`, "0", "1", "2.0 KiB", "2.0 KiB"],
    ]);
    const counters = { open: 0, accepted: 1, bytesIn: 2048, bytesOut: 2048, failed: 0, plain: 0 };
    expect(JSON.parse(await output("list", "--json", dir()))).toEqual([{ id, spec, counters }]);
  });

  test("remove ends ports by id and by spec", async () => {
    const [first, second] = [await freePort(), await freePort()];
    const specs = [first, second].map((port) => `127.0.0.1:${port}:${childPort}/tcp`);
    const stdout = await output("add", ...specs, dir());
    const ids = stdout.split("\n").map((line) => line.split(" ")[0]);
    expect(await output("remove", `${ids[0]}`, specs[1]?.replace("/tcp", "") ?? "", dir())).toBe(
      `${ids[0]}\n${ids[1]}\n`,
    );
    await expect(exchange({ port: first }, "x")).rejects.toThrow("ECONNREFUSED");
    expect(await output("list", "--json", dir())).toBe("[]\n");
  });

  test("remove of one that is not there removes none", async () => {
    const [id] = (await output("add", "127.0.0.1:0:80", dir())).split(" ");
    await refused(
      ["remove", `${id}`, "4711", dir()],
      FAILED,
      "no port with the id 4711 is published",
      `these are: ${id} (`,
    );
    await refused(["remove", "127.0.0.1:1:1/udp", dir()], FAILED, "no port 127.0.0.1:1:1/udp is published");
    expect(JSON.parse(await output("list", "--json", dir()))).toHaveLength(1);
  });

  test("drivers marks the one in use", async () => {
    const table = cells(await output("drivers", dir()));
    expect(table.map(([name]) => name)).toContain("builtin *");
    const list = JSON.parse(await output("drivers", "--json", dir()));
    expect(list.filter(({ inUse }: { inUse: boolean }) => inUse)).toMatchObject([
      { name: "builtin", protos: expect.any(Array) },
    ]);
  });

  test("all works inside, by ROOTLESSKIT_STATE_DIR", async () => {
    const inner = [join(tree(), "bin", "rlkit"), "ports"].join(" ");
    const script = `${inner} add 127.0.0.1:0:80 && ${inner} list && ${inner} remove 127.0.0.1:0:1; ${inner} drivers | grep '[*]'`;
    await using running = rlkit(user, ["exec", dir(), "--", "sh", "-c", script]);
    const { stdout, stderr } = await running.result();
    expect(stdout).toMatch(/^\d+ 127\.0\.0\.1:\d+:80\/tcp\nID +PROTO [\s\S]* +tcp +127\.0\.0\.1:\d+ [\s\S]*builtin \*/);
    expect(stderr).toMatch(/^rlkit: no port 127\.0\.0\.1:0:1\/tcp is published[^\n]*\n$/);
  });

  describe("list --watch", () => {
    test("draws over itself at a terminal, with rates, and ends with ^C", async () => {
      const [{ spec } = expect.unreachable()]: Port[] = JSON.parse(
        await output("add", "--json", `127.0.0.1:0:${childPort}`, dir()),
      );
      await using watch = rlkit(user, ["ports", "list", "--watch", dir()], { terminal: true });
      await said(watch, "OUT/s"); // the last column, at 80 columns
      await exchange({ port: spec.parentPort }, "x".repeat(4096));
      // Up over the two lines, and everything from there on anew.
      await until(() => watch.stdout.split("\x1b[2A\x1b[J").length > 2, { what: "two more looks" });
      await until(() => /[1-9]\.\d KiB/.test(watch.stdout), { what: "their rate" });
      watch.write("\x03");
      const { code, stdout } = await watch.result(2000);
      expect(code).toBe(130);
      expect(stdout).not.toContain("\x1b[?"); // nothing that would have to be switched back
      expect(stdout).toMatch(/\n(\^C)?\s*$/);
    });

    test("prints a line of JSON a look with --json, and ends with its reader", async () => {
      const id = Number((await output("add", "127.0.0.1:0:80", dir())).split(" ")[0]);
      const binary = join(tree(), "bin", "rlkit");
      await using watch = rlkit(user, [
        "exec",
        dir(),
        "--",
        "sh",
        "-c",
        `${binary} ports list --watch --json | head -n 2`,
      ]);
      const { code, stdout, stderr } = await watch.result();
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [first, second] = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(first).toEqual({ time: expect.stringMatching(/^\d{4}-.*Z$/), ports: [expect.objectContaining({ id })] });
      expect(first.ports[0].perSecond).toBeUndefined();
      expect(second.ports[0].perSecond).toEqual({ accepted: 0, bytesIn: 0, bytesOut: 0 });
    });

    test.each([
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)("ends at once by %s, however long its interval", async (signal, status) => {
      await using watch = rlkit(user, ["ports", "list", "--watch", "--interval=60", dir()]);
      await said(watch, "PROTO");
      watch.kill(signal);
      expect(await watch.result(2000)).toMatchObject({ code: status, stderr: "" });
    });

    test("ends with its instance", async () => {
      await using own = await testUser();
      const short = await inside(own, ["--net=none"]);
      await using watch = rlkit(own, ["ports", "list", "--watch", "--json"]);
      await said(watch, '"ports"');
      await short[Symbol.asyncDispose]();
      const { code, stderr } = await watch.result();
      expect({ code, stderr }).toEqual({ code: FAILED, stderr: expect.stringMatching(/^rlkit: [^\n]+\n$/) });
    });
  });
});

test("a state directory with a long path is as good as another, and the only instance needs no name", async () => {
  await using own = await testUser();
  const stateDir = join(own.home, "d".repeat(100), "e".repeat(100));
  await using running = rlkit(own, [
    "run",
    "--net=none",
    `--state-dir=${stateDir}`,
    "--",
    "sh",
    "-c",
    "echo ready; sleep 60",
  ]);
  await said(running, "ready");
  const { code, stdout } = await ports(["add", "127.0.0.1:0:80", `--state-dir=${stateDir}`], own);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^1 127\.0\.0\.1:\d+:80\/tcp\n$/) });

  await using other = await testUser();
  await using only = rlkit(other, ["run", "--net=none", "--", "sh", "-c", "echo ready; sleep 60"]);
  await said(only, "ready");
  expect((await ports(["add", "127.0.0.1:0:80"], other)).stdout).toMatch(/^1 /);
});

test("without a port driver, the errors say so", async () => {
  await using own = await testUser();
  await using run = rlkit(own, ["run", "--net=host", "--", "sh", "-c", "echo ready; sleep 60"]);
  await said(run, "ready");
  const { code, stderr } = await ports(["list"], own);
  expect({ code, stderr }).toEqual({ code: FAILED, stderr: expect.stringContaining("no PortDriver is available") });
});
