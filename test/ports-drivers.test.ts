import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { ask, dial, exchange, freePort, held } from "./helpers/client.ts";
import { type Neighbour, startNeighbour } from "./helpers/neighbour.ts";
import { type Inside, inside } from "./helpers/ports.ts";
import { expectRefusal } from "./helpers/refusal.ts";
import { rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
let neighbour: Neighbour;

beforeAll(async () => {
  user = await testUser();
  neighbour = await startNeighbour();
});

afterAll(async () => {
  await neighbour?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

const kinds = [
  { kind: "tcp", service: "echo", says: exchange },
  { kind: "udp", service: "datagrams", says: ask },
] as const;

const everywhere = { host: "0.0.0.0", name: "inside" };

/** What GET /v1/info says of the port driver; undefined if nothing. */
async function portDriver({ stateDir }: Inside): Promise<unknown> {
  const socket = join(stateDir, "api.sock");
  const [, info] = await askJson<{ portDriver?: unknown }>({ user, socket }, "GET", "/v1/info");
  return info.portDriver;
}

const warnings = ({ run }: Inside): string[] =>
  run.stderr
    .split("\n")
    .filter((line) => line.includes('"level":"warn"'))
    .map((line) => JSON.parse(line).msg);

test("is builtin unless told otherwise, with every network but the host's", async () => {
  for (const net of ["none", "slirp4netns", "pasta"]) {
    await using run = await inside(user, [`--net=${net}`]);
    const protos = ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"];
    expect(await portDriver(run)).toMatchObject({ driver: "builtin", protos });
  }
});

test.each([
  [["--net=host", "--port-driver=builtin"], "port driver requires non-host network"],
  [["--net=host", "-p", "127.0.0.1:0:80/tcp"], 'port driver "none" does not support publishing ports'],
  [["--net=none", "--port-driver=none", "-p", ":0:80/tcp"], 'port driver "none" does not support publishing ports'],
  [["--net=none", "--port-driver=slirp4netns"], "port driver requires slirp4netns network"],
  [["--net=pasta", "--port-driver=slirp4netns"], "port driver requires slirp4netns network"],
  [["--net=slirp4netns", "--port-driver=implicit"], "port driver requires pasta network"],
  [["--net=slirp4netns", "--port-driver=pesto"], "port driver requires pasta network"],
  [["--net=none", "-p", "8080"], "8080"],
  [["--net=none", "-p", ":80:80/TCP"], 'unknown proto: "TCP"'],
])("%j is refused: %s", async (options, says) => {
  await using other = await testUser();
  await using run = rlkit(other, ["run", ...options, "--", "echo", "it was started"]);
  await expectRefusal(other, run, { status: 2, says: [says] });
});

describe("builtin", () => {
  test("warns once of what a port loses: a UDP client's address", async () => {
    await using run = await inside(user, ["--net=slirp4netns"]);
    await run.publish({ proto: "tcp", parentIP: "127.0.0.1", childPort: 53 });
    await run.publish({ proto: "udp", parentIP: "127.0.0.1", childPort: 53 });
    expect(warnings(run).filter((text) => text.includes("address"))).toEqual([]);
    for (let i = 0; i < 3; i += 1) await run.publish({ proto: "udp", childPort: 53 });
    await until(() => warnings(run).some((text) => text.includes("UDP clients' addresses are not kept")));
    await run.publish({ proto: "udp", childPort: 53 });
    await run.list();
    expect(warnings(run).filter((text) => text.includes("UDP clients' addresses are not kept")).length).toBe(1);
  });
});

describe("slirp4netns", () => {
  const tap = "10.0.2.100";
  let run: Inside;

  beforeAll(async () => {
    run = await inside(user, ["--net=slirp4netns", "--port-driver=slirp4netns"]);
  });

  afterAll(() => run?.[Symbol.asyncDispose]());

  test("tells what it can do", async () => {
    const protos = ["tcp", "tcp4", "udp", "udp4"];
    expect(await portDriver(run)).toMatchObject({ driver: "slirp4netns", protos, disallowLoopbackChildIP: true });
  });

  test.each(kinds)("publishes $kind, to the address of the tap device", async ({ kind, service, says }) => {
    const { port: childPort } = await run.listen(service, everywhere);
    for (const spec of [
      { proto: kind, childPort },
      { proto: `${kind}4`, parentIP: "127.0.0.1", childIP: tap, childPort },
    ]) {
      const { id, spec: published } = await run.publish(spec);
      const { parentPort: port } = published;
      expect(port).toBeGreaterThan(0);
      expect(await says({ port }, "hello")).toBe("inside\nhello");
      expect((await run.list()).map((port) => port.id)).toEqual([id]);
      await run.unpublish(id);
      expect(await run.list()).toEqual([]);
      await expect(says({ port }, "hello")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
  });

  test("takes ports by -p", async () => {
    const port = await freePort();
    const options = ["--net=slirp4netns", "--port-driver=slirp4netns", "-p", `127.0.0.1:${port}:7777/tcp`];
    await using other = await testUser();
    await using run = await inside(other, options);
    await run.listen("echo", { ...everywhere, port: 7777 });
    expect(await exchange({ port }, "hello")).toBe("inside\nhello");
  });

  test.each(["tcp6", "udp6", "sctp"])("refuses %s", async (proto) => {
    expect(await run.refusal({ proto, childPort: 80, parentPort: 18080 })).toMatch(
      /unsupported (port )?protocol "?(tcp6|udp6|sctp)/,
    );
  });

  test("says who has a taken port", async () => {
    await using taken = await held(0, "127.0.0.1");
    const spec = { proto: "tcp", parentIP: "127.0.0.1", parentPort: taken.port, childPort: 80 };
    expect(await run.refusal(spec)).toMatch(/address already in use.*\broot\b/);
    expect(await run.list()).toEqual([]);
  });

  test("of a set with one that is refused, none is published", async () => {
    await using taken = await held(0, "127.0.0.1");
    const port = await freePort();
    const specs = [port, taken.port].map((parentPort) => ({
      proto: "tcp",
      parentIP: "127.0.0.1",
      parentPort,
      childPort: 80,
    }));
    await run.refusal(specs);
    expect(await run.list()).toEqual([]);
    await expect(dial({ port })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("a client on another machine appears by its own address, over TCP and UDP", async () => {
    const streams = await run.listen("echo", everywhere);
    const datagrams = await run.listen("datagrams", everywhere);
    const [tcp, udp] = await run.publishAll([
      { proto: "tcp", childPort: streams.port },
      { proto: "udp", childPort: datagrams.port },
    ]);
    const [address] = neighbour.host;
    expect(await neighbour.exchange(address, tcp?.spec.parentPort ?? 0, "hello")).toBe("inside\nhello");
    const answer = await neighbour.datagram(address, udp?.spec.parentPort ?? 0, "hello");
    expect(answer).toMatchObject({ text: "inside\nhello", address });
    for (const listener of [streams, datagrams]) {
      expect((await listener.seen()).map(({ from }) => from)).toEqual([neighbour.address]);
    }
  });
});

describe("implicit", () => {
  test("has what listens inside listen on the host, and takes no ports by the API", async () => {
    await using run = await inside(user, ["--net=pasta", "--port-driver=implicit"]);
    expect(await portDriver(run)).toBeUndefined();
    const message = await run.refusal({ proto: "tcp", parentPort: 8080, childPort: 80 });
    expect(message).toBe("no PortDriver is available");
    const port = await freePort();
    await run.listen("echo", { ...everywhere, port });
    // pasta looks once a second for what listens.
    await until(async () => (await exchange({ port }, "hello")) === "inside\nhello", { what: "pasta to listen" });
    expect(await neighbour.exchange(neighbour.host[0], port, "hello")).toBe("inside\nhello");
  });

  test("says that -p has no effect", async () => {
    await using run = await inside(user, ["--net=pasta", "--port-driver=implicit", "-p", "127.0.0.1:0:80/tcp"]);
    await until(() => warnings(run).some((text) => text.includes("-p has no effect")), {
      what: "a warning in the log",
    });
  });
});

test("none publishes nothing: neither by the API nor by what listens inside", async () => {
  await using run = await inside(user, ["--net=pasta", "--port-driver=none"]);
  expect(await portDriver(run)).toBeUndefined();
  const { port } = await run.listen("echo", everywhere);
  const message = await run.refusal({ proto: "tcp", parentPort: 8080, childPort: port });
  expect(message).toBe("no PortDriver is available");
  await pause(2500); // pasta would look once a second for what listens; there is no fact to wait for when nothing is to happen
  await expect(dial({ port })).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

function isOnPath(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

// pesto comes with the passt of 2026, which older distributions do not have.
describe.runIf(isOnPath("pesto"))("pesto (skipped where it is not on PATH)", () => {
  let run: Inside;

  beforeAll(async () => {
    run = await inside(user, ["--net=pasta", "--port-driver=pesto"]);
  });

  afterAll(() => run?.[Symbol.asyncDispose]());

  test.each(kinds)("publishes $kind", async ({ kind, service, says }) => {
    const { port: childPort } = await run.listen(service, everywhere);
    const { id, spec } = await run.publish({ proto: kind, childPort });
    expect(await says({ port: spec.parentPort }, "hello")).toBe("inside\nhello");
    await run.unpublish(id);
    await expect(says({ port: spec.parentPort }, "hello")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("a taken port is refused, and the next one is published all the same", async () => {
    await using taken = await held(0, "127.0.0.1");
    const spec = { proto: "tcp", parentIP: "127.0.0.1", parentPort: taken.port, childPort: 80 };
    expect(await run.refusal(spec)).toMatch(/address already in use.*\broot\b/);
    const { port: childPort } = await run.listen("echo", everywhere);
    const { spec: next } = await run.publish({ proto: "tcp", parentIP: "127.0.0.1", childPort });
    expect(await exchange({ port: next.parentPort }, "hello")).toBe("inside\nhello");
  });
});

describe("rlkit ports drivers", () => {
  const drivers = ["builtin", "slirp4netns", "pesto", "implicit", "none"];

  test("is a table of what each driver can do", async () => {
    await using run = rlkit(user, ["ports", "drivers"]);
    const { code, stdout } = await run.result();
    expect(code).toBe(0);
    for (const driver of drivers) expect(stdout).toMatch(new RegExp(`\\b${driver}\\b`));
    expect(stdout).toMatch(/IPV6.*UDP.*CLIENT ADDRESS/);
  });

  test("marks the one that a running instance uses", async () => {
    await using started = await inside(user, ["--net=slirp4netns", "--port-driver=slirp4netns"]);
    await using run = rlkit(user, ["ports", "drivers", "--json", `--state-dir=${started.stateDir}`]);
    const { code, stdout, stderr } = await run.result();
    expect(code, stderr).toBe(0);
    const listed: { name: string; inUse: boolean }[] = JSON.parse(stdout);
    expect(listed.map(({ name }) => name)).toEqual(drivers);
    expect(listed.filter(({ inUse }) => inUse).map(({ name }) => name)).toEqual(["slirp4netns"]);
  });
});
