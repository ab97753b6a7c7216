import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dockerdPid } from "./helpers/containers.ts";
import { type FakeDockerd, fakeDockerd } from "./helpers/fake-dockerd.ts";
import { childPid } from "./helpers/instance.ts";
import { notifies, type ServiceManager, serviceManager } from "./helpers/notify.ts";
import { type Running, rlkit, start, tree } from "./helpers/run.ts";
import { dockerStateDir } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
let manager: ServiceManager;

beforeEach(async () => {
  user = await testUser();
  manager = await serviceManager(join(user.home, "manager.sock"));
});

afterEach(async () => {
  await manager[Symbol.asyncDispose]();
  await user[Symbol.asyncDispose]();
});

/** Waits until the manager has been told so often. */
const told = (assignment: string, count = 1) =>
  until(() => manager.count(assignment) >= count, { what: `${assignment}, ${count} times` });

/** Starts a command under rlkit as a service of the manager. */
const service = (
  command: readonly string[],
  options: readonly string[] = [],
  env: Record<string, string> = {},
): Running =>
  rlkit(user, ["run", "--net=none", ...options, "--", ...command], { env: { NOTIFY_SOCKET: manager.socket, ...env } });

const shell = (script: string, options: readonly string[] = []): Running => service(["sh", "-c", script], options);

/** Every message must come from the main process: a unit has NotifyAccess=main. */
const expectOnlyFrom = ({ pid }: Running) =>
  expect(new Set(manager.got.map((each) => each.pid))).toEqual(new Set([pid]));

describe("dockerd as a service", () => {
  let fake: FakeDockerd;
  const dockerd = (options: readonly string[] = []) => service(["dockerd"], options, fake.env);

  test("READY comes when it answers, not before, with rlkit's own pid as MAINPID", async () => {
    fake = await fakeDockerd(user, { wait: true });
    await using run = dockerd();
    await until(() => manager.values("STATUS").some((text) => /^dockerd .*starting/.test(text)));
    expect(manager.count("READY=1")).toBe(0);
    await fake.go();
    await told("READY=1");
    expect(manager.values("MAINPID")).toEqual([String(run.pid)]);
    run.kill("SIGTERM");
    await run.result();
    expectOnlyFrom(run);
  });

  test("STATUS says in one line how it is: version, time to get ready, ports, restarts", async () => {
    fake = await fakeDockerd(user);
    await using run = dockerd();
    const status = (like: RegExp) =>
      until(() => like.test(manager.values("STATUS").at(-1) ?? ""), { what: String(like) });
    await status(/^dockerd 20\.10\.99 ready in \d+\.\d s, 0 ports, 0 restarts$/);
    await using add = rlkit(user, ["ports", "add", "127.0.0.1:0:80/tcp"]);
    expect(await add.result()).toMatchObject({ code: 0 });
    await status(/^dockerd 20\.10\.99 ready in \d+\.\d s, 1 port, 0 restarts$/);
    process.kill(await dockerdPid(user), "SIGKILL");
    await status(/^dockerd 20\.10\.99 ready in \d+\.\d s, 1 port, 1 restart$/);
    expect(manager.values("STATUS")).toContainEqual(expect.stringMatching(/restarting/));
    expectOnlyFrom(run);
  });

  test("HUP: RELOADING with the time, then READY again; dockerd gets the signal and is not restarted", async () => {
    fake = await fakeDockerd(user);
    await using run = dockerd();
    await told("READY=1");
    const pid = await dockerdPid(user);
    const before = process.hrtime.bigint() / 1000n;
    run.kill("SIGHUP");
    await told("READY=1", 2);
    const { text } = manager.got.find((each) => each.values.RELOADING === "1") ?? expect.unreachable("no RELOADING");
    const time = BigInt(/^MONOTONIC_USEC=(\d+)$/m.exec(text)?.[1] ?? 0);
    expect(time >= before && time <= process.hrtime.bigint() / 1000n).toBe(true);
    const kinds = manager.got.flatMap(({ values }) =>
      "RELOADING" in values ? ["RELOADING"] : "READY" in values ? ["READY"] : [],
    );
    expect(kinds).toEqual(["READY", "RELOADING", "READY"]);
    expect(await fake.signals()).toEqual(["SIGHUP"]);
    expect(await dockerdPid(user)).toBe(pid);
    expectOnlyFrom(run);
  });

  test("TERM: STOPPING comes first, with the time that the end may take", async () => {
    fake = await fakeDockerd(user);
    await using run = dockerd(["--stop-timeout=20s"]);
    await told("READY=1");
    run.kill("SIGTERM");
    expect(await run.result()).toMatchObject({ code: 0 });
    await told("STOPPING=1");
    const { values } = manager.got.find((each) => each.values.STOPPING === "1") ?? expect.unreachable();
    expect(Number(values.EXTEND_TIMEOUT_USEC)).toBeGreaterThanOrEqual(20_000_000);
    expect(manager.count("STOPPING=1")).toBe(1);
    expectOnlyFrom(run);
  });

  test("an abstract socket is as good", async () => {
    fake = await fakeDockerd(user);
    const name = `@rlkit-test-${process.pid}`;
    await using abstract = await serviceManager(name);
    await using run = service(["dockerd"], [], { ...fake.env, NOTIFY_SOCKET: name });
    await until(() => abstract.count("READY=1") === 1, { what: "READY=1" });
    expect(abstract.got.map(({ pid }) => pid)).toContain(run.pid);
  });
});

describe("the watchdog", () => {
  const MICROSECONDS = 400_000;

  /** The manager says for whom the watchdog is: by the pid of the process that it started. */
  async function watched(pid = "$$"): Promise<Running> {
    const fake = await fakeDockerd(user);
    const script = `WATCHDOG_PID=${pid} exec "$0" run --net=none -- dockerd`;
    return start(user, ["sh", "-c", script, join(tree(), "bin", "rlkit")], {
      env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: String(MICROSECONDS), ...fake.env },
    });
  }

  const fed = () => manager.count("WATCHDOG=1");
  const isFed = async () => {
    const before = fed();
    await until(() => fed() >= before + 3, { what: "the watchdog to be fed" });
  };
  /** The manager would have lost patience: nothing has come for more than its time. */
  const starves = async () => {
    let [count, since] = [fed(), performance.now()];
    const patience = (MICROSECONDS / 1000) * 2;
    const isHungry = () => {
      if (fed() !== count) [count, since] = [fed(), performance.now()];
      return performance.now() - since > patience;
    };
    await until(isHungry, { what: "the watchdog not to be fed" });
  };

  test("is fed while all is well, by the main process", async () => {
    await using run = await watched();
    await told("READY=1");
    await isFed();
    expectOnlyFrom(run);
  });

  test.each(["dockerd", "rlkit-ns init", "rlkit"])(
    "is not fed while %s is stopped, and again when it goes on",
    async (name) => {
      await using run = await watched();
      await told("READY=1");
      await isFed();
      const stateDir = dockerStateDir(user);
      const pid = name === "dockerd" ? await dockerdPid(user) : name === "rlkit" ? run.pid : await childPid(stateDir);
      process.kill(pid, "SIGSTOP");
      await starves();
      process.kill(pid, "SIGCONT");
      await isFed();
    },
  );

  test("is fed while dockerd is being restarted: it is rlkit that the manager watches", async () => {
    await using _run = await watched();
    await told("READY=1");
    process.kill(await dockerdPid(user), "SIGKILL");
    await isFed();
  });

  test("of another process is not fed", async () => {
    await using _run = await watched("1");
    await told("READY=1");
    await starves();
    expect(fed()).toBe(0);
  });
});

describe("any command as a service", () => {
  const isFile = (name: string) => `until [ -e ${name} ]; do sleep 0.02; done;`;

  test("READY comes when it says so on a NOTIFY_SOCKET of rlkit's", async () => {
    await using run = shell(`${isFile("go")} ${notifies("READY=1")}; exec sleep 1000`);
    await until(() =>
      manager.values("STATUS").some((text) => /^sh .*starting/.test(text) || text.startsWith("sh starting")),
    );
    expect(manager.count("READY=1")).toBe(0);
    await writeFile(join(user.home, "go"), "");
    await told("READY=1");
    expect(manager.values("MAINPID")).toEqual([String(run.pid)]);
    expectOnlyFrom(run);
  });

  test("its STATUS is part of rlkit's, and more time that it asks for is asked for", async () => {
    const says = [notifies("STATUS=warming up"), notifies("EXTEND_TIMEOUT_USEC=7000000"), notifies("READY=1")];
    await using run = shell(`${says.join("; ")}; exec sleep 1000`);
    await told("READY=1");
    await until(() =>
      /^sh ready in \d\.\d s, 0 ports, 0 restarts, warming up$/.test(manager.values("STATUS").at(-1) ?? ""),
    );
    expect(manager.values("EXTEND_TIMEOUT_USEC").map(Number)).toContain(7_000_000);
    expectOnlyFrom(run);
  });

  test("its RELOADING is passed on, with READY when it says so again", async () => {
    const reload = `${notifies("RELOADING=1")}; ${isFile("go")} ${notifies("READY=1")}`;
    await using run = shell(
      `trap '${reload.replaceAll("'", `'\\''`)}' HUP; ${notifies("READY=1")}; while :; do sleep 0.1; done`,
    );
    await told("READY=1");
    run.kill("SIGHUP");
    await told("RELOADING=1");
    expect(manager.count("READY=1"), JSON.stringify(manager.got)).toBe(1);
    await writeFile(join(user.home, "go"), "");
    await told("READY=1", 2);
    expectOnlyFrom(run);
  });

  test("it sees a socket of its own in its environment, and no watchdog", async () => {
    const env = { WATCHDOG_USEC: "60000000" };
    await using run = service(["sh", "-c", "env >seen"], [], env);
    await run.result();
    const seen = await readFile(join(user.home, "seen"), "utf8");
    const [, socket] = /^NOTIFY_SOCKET=(.*)$/m.exec(seen) ?? [];
    expect(socket).toBeDefined();
    expect(socket).not.toBe(manager.socket);
    expect(seen).not.toContain("WATCHDOG");
  });

  test("without a manager it sees no socket", async () => {
    await using run = rlkit(user, ["run", "--net=none", "--", "sh", "-c", "env"]);
    expect((await run.result()).stdout).not.toContain("NOTIFY_SOCKET");
  });

  test("a manager that has gone away does not matter", async () => {
    await using run = service(["sh", "-c", "sleep 0.2; exit 3"], [], { NOTIFY_SOCKET: join(user.home, "nobody.sock") });
    expect(await run.result()).toMatchObject({ code: 3 });
  });
});
