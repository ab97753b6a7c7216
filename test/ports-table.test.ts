import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { dial, exchange, freePort, held, heldDatagrams } from "./helpers/client.ts";
import { leftovers } from "./helpers/left.ts";
import { type Inside, inside, type Port, portdOf, portsApi } from "./helpers/ports.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import { type Running, rlkit, start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

const loopback = { proto: "tcp", parentIP: "127.0.0.1" } as const;

describe("of a run with --net=none", () => {
  let run: Inside;
  let childPort: number;

  beforeAll(async () => {
    run = await inside(user, ["--net=none"]);
    ({ port: childPort } = await run.listen("echo"));
  });

  afterEach(async () => {
    for (const { id } of await run.list()) await run.unpublish(id);
  });

  afterAll(() => run?.[Symbol.asyncDispose]());

  const messages = () => run.run.stderr.split("\n").filter((line) => line.includes('"level":"error"'));

  test("ids count up and are never used again; a port that is refused uses none", async () => {
    const first = await run.publish({ ...loopback, childPort });
    await run.unpublish(first.id);
    await run.refusal({ ...loopback, parentPort: 70_000, childPort });
    const more = await run.publishAll([
      { ...loopback, childPort },
      { ...loopback, childPort },
    ]);
    expect(more.map(({ id }) => id)).toEqual([first.id + 1, first.id + 2]);
  });

  test("a spec is listed as it was asked for", async () => {
    const specs = [
      { proto: "tcp", parentIP: "127.0.0.1", parentPort: await freePort(), childIP: "127.0.0.1", childPort },
      { proto: "udp4", parentPort: await freePort(), childPort: 53 },
    ];
    const ports = await run.publishAll(specs);
    expect(ports.map(({ spec }) => spec)).toEqual(specs);
    expect(await run.list()).toEqual(ports);
  });

  test.each(["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"])(
    "%s port 0 picks a free port, and says which",
    async (proto) => {
      const ports = await run.publishAll(Array.from({ length: 20 }, () => ({ proto, parentPort: 0, childPort })));
      const picked = ports.map(({ spec }) => spec.parentPort);
      expect(new Set(picked).size).toBe(20);
      expect(Math.min(...picked)).toBeGreaterThan(1023);
      expect((await run.list()).map(({ spec }) => spec.parentPort)).toEqual(picked);
    },
  );

  test("twenty clients that ask at once get a port each, and all answer", async () => {
    const ports = await Promise.all(Array.from({ length: 20 }, () => run.publish({ ...loopback, childPort })));
    expect(new Set(ports.map(({ id }) => id)).size).toBe(20);
    const answers = ports.map(({ id, spec }) => exchange({ port: spec.parentPort }, String(id)));
    expect(await Promise.all(answers)).toEqual(ports.map(({ id }) => String(id)));
  });

  test("the same port cannot be published twice", async () => {
    const { id, spec } = await run.publish({ ...loopback, childPort });
    expect(await run.refusal({ ...spec, childPort: 1 })).toContain(`conflict with ID ${id}`);
    expect(await exchange({ port: spec.parentPort }, "x")).toBe("x");
  });

  test("of a set with one that is refused, none is published", async () => {
    await using taken = await held(0, "127.0.0.1");
    const [first, last] = [await freePort(), await freePort()];
    const specs = [first, taken.port, last].map((parentPort) => ({ ...loopback, parentPort, childPort }));
    expect(await run.refusal(specs)).toContain("address already in use");
    expect(await run.list()).toEqual([]);
    for (const port of [first, last]) await (await held(port, "127.0.0.1"))[Symbol.asyncDispose]();
    expect(messages()).toEqual([]);
  });

  test.each([
    ["tcp", "tcp", "-l"],
    ["udp", "udp", "-u -l"],
  ])("a taken %s port: the error names who holds it", async (proto, kind) => {
    await using holder = await nodeThatHolds(kind);
    const message = await run.refusal({ proto, parentIP: "127.0.0.1", parentPort: holder.port, childPort });
    expect(message).toContain(`listen ${proto} 127.0.0.1:${holder.port}: bind: address already in use`);
    expect(message).toContain(`pid ${holder.pid} (node -e `);
  });

  /** A process of the same user that has a port of the host. */
  async function nodeThatHolds(kind: string): Promise<AsyncDisposable & { port: number; pid: number }> {
    const server =
      kind === "tcp"
        ? 'require("net").createServer().listen(0, "127.0.0.1", said)'
        : 'require("dgram").createSocket("udp4").bind(0, "127.0.0.1", said)';
    const holder = start(user, ["node", "-e", `function said() { console.log(this.address().port) }; ${server}`]);
    const port = await until(() => Number(holder.stdout));
    return { port, pid: holder.pid, [Symbol.asyncDispose]: () => holder[Symbol.asyncDispose]() };
  }

  test("a port that another user's process holds: the error names that user", async () => {
    await using taken = await held(0, "127.0.0.1");
    const message = await run.refusal({ ...loopback, parentPort: taken.port, childPort });
    expect(message).toMatch(/address already in use.*\broot\b/);
  });

  test("a port that is taken for IPv4 alone is taken for both versions, too", async () => {
    await using taken = await held(0, "0.0.0.0");
    const message = await run.refusal({ proto: "tcp", parentPort: taken.port, childPort });
    expect(message).toMatch(/address already in use.*\broot\b/);
  });

  test("an address that the host does not have: the error lists those it has", async () => {
    const message = await run.refusal({ proto: "tcp", parentIP: "198.51.100.7", childPort });
    expect(message).toMatch(/listen tcp 198\.51\.100\.7:0: bind: cannot assign requested address/);
  });

  test("SCTP is refused", async () => {
    expect(await run.refusal({ proto: "sctp", parentPort: 5000, childPort })).toContain(
      "unsupported port protocol sctp",
    );
  });

  test("an address of the other IP version than the protocol's is refused", async () => {
    expect(await run.refusal({ proto: "tcp4", parentIP: "::1", childPort })).toMatch(/tcp4.*::1|::1.*tcp4/);
  });
});

describe("a privileged port", () => {
  /** A run in a network namespace in which ports below 1000 are root's alone. */
  const privileged = (...args: string[]): Running => {
    const lower = 'echo 1000 >/proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"';
    return preparedRlkit(user, { script: ":", enter: ["unshare", "--net", "sh", "-c", lower, "sh"] }, args);
  };

  test("is refused with the sentence that names the setting and its value", async () => {
    await using run = privileged("run", "--net=none", "-p", "127.0.0.1:80:80/tcp", "--", "echo", "it was started");
    const { code, stdout, stderr } = await run.result();
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain(
      "cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1000), ",
    );
    expect(stderr).toContain("or choose a larger port number (>= 1000)");
    expect(stderr).toContain("listen tcp 127.0.0.1:80: bind: permission denied");
  });

  test("is published where the setting allows it", async () => {
    await using run = privileged("run", "--net=none", "-p", ":1000:80/tcp", "--", "echo", "it was started");
    expect(await run.result()).toMatchObject({ code: 0, stdout: "it was started\n" });
  });
});

describe("-p", () => {
  test("opens ports before the command starts; a port 0 is named in the log", async () => {
    const port = await freePort();
    await using run = await inside(user, ["--net=slirp4netns", "-p", `127.0.0.1:${port}:7/tcp`, "-p", "127.0.0.1:0:7"]);
    await run.listen("echo", { port: 7, name: "inside" });
    const ports = await run.list();
    expect(ports.map(({ id, spec }) => [id, spec.childPort])).toEqual([
      [1, 7],
      [2, 7],
    ]);
    expect(ports[0]?.spec.parentPort).toBe(port);
    const picked = ports[1]?.spec.parentPort ?? 0;
    expect(run.run.stderr).toContain(`127.0.0.1:${picked}:7/tcp`);
    for (const port of ports) expect(await exchange({ port: port.spec.parentPort }, "x")).toBe("inside\nx");
  });

  test("a set of which one is taken: the command is not started, and no port stays", async () => {
    await using taken = await held(0, "127.0.0.1");
    const port = await freePort();
    const options = [port, taken.port].flatMap((number) => ["-p", `127.0.0.1:${number}:80/tcp`]);
    await using other = await testUser();
    await using run = rlkit(other, ["run", "--net=none", ...options, "--", "echo", "it was started"]);
    const { code, stdout, stderr } = await run.result();
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toMatch(/^rlkit: .*address already in use.*\n$/);
    await (await held(port, "127.0.0.1"))[Symbol.asyncDispose]();
    expect(await leftovers(other)).toEqual([]);
  });
});

describe("when a run ends", () => {
  let own: User;
  let run: Inside;
  let ports: Port[];

  beforeEach(async () => {
    own = await testUser();
    run = await inside(own, ["--net=slirp4netns"]);
    const { port: childPort } = await run.listen("echo");
    const specs = ["tcp", "tcp4", "tcp6", "udp"].map((proto) => ({ proto, childPort }));
    ports = await run.publishAll(specs);
  });

  afterEach(async () => {
    await run?.[Symbol.asyncDispose]();
    await own?.[Symbol.asyncDispose]();
  });

  /** Takes each port for itself; true when it could. */
  async function takePorts(): Promise<true> {
    for (const { spec } of ports) {
      const taken = spec.proto === "udp" ? await heldDatagrams(spec.parentPort) : await held(spec.parentPort);
      await taken[Symbol.asyncDispose]();
    }
    return true;
  }

  test("with its command, its ports are free at once, its connections over and no process left", async () => {
    using connection = await dial({ port: ports[0]?.spec.parentPort ?? 0 });
    run.run.kill("SIGTERM");
    await run.run.result(2000);
    await takePorts();
    expect(await connection.ended()).toMatch(/^(end|ECONNRESET)$/);
    expect(await leftovers(own)).toEqual([]);
  });

  test("with kill -9, its ports are free within 2 s, and no process is left", async () => {
    await portdOf(run);
    run.run.kill("SIGKILL");
    await until(takePorts, { deadline: 2000, what: "its ports to be free" });
    const processes = async () => (await leftovers(own)).filter((line) => line.startsWith("process"));
    await until(async () => (await processes()).length === 0, { deadline: 2000, what: "no process" });
  });
});

test("an API client that has gone does not keep a run from ending", async () => {
  await using run = await inside(user, ["--net=none"]);
  const api = portsApi(user, run.stateDir);
  const asked = Array.from({ length: 50 }, () => api.publish({ ...loopback, childPort: 80 }));
  const over = Promise.allSettled(asked);
  run.run.kill("SIGTERM");
  expect(await run.run.result(2000)).toMatchObject({ code: 143 });
  await over;
});
