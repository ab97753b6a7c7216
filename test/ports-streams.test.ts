import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dial, dialMany, exchange, roundTrip, transfer } from "./helpers/client.ts";
import { type Inside, inside, portdOf } from "./helpers/ports.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const MEGABYTE = 1024 * 1024;

let user: User;
let run: Inside;

beforeAll(async () => {
  user = await testUser();
  run = await inside(user, ["--net=none", "--port-driver=builtin"]);
});

afterAll(async () => {
  await run?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A service inside, and its port on the host. */
async function published(service: Parameters<Inside["listen"]>[0], name?: string) {
  const listener = await run.listen(service, name === undefined ? {} : { name });
  const { id, spec } = await run.publish({ proto: "tcp", parentIP: "127.0.0.1", childPort: listener.port });
  return { listener, id, port: spec.parentPort, to: { port: spec.parentPort } };
}

describe("each direction ends by itself:", () => {
  test("the client has ended its own, and still gets the whole answer", async () => {
    const { to } = await published("counter");
    using connection = await dial(to);
    connection.send(Buffer.alloc(3 * MEGABYTE));
    connection.end();
    expect((await connection.rest()).toString()).toBe(String(3 * MEGABYTE));
  });

  test("the server has ended its own, and still gets all that the client says", async () => {
    const { to, listener } = await published("speaker", "all that I have to say");
    using connection = await dial(to);
    expect((await connection.rest()).toString()).toBe("all that I have to say");
    connection.send(Buffer.alloc(3 * MEGABYTE));
    await until(async () => (await listener.seen())[0]?.received === 3 * MEGABYTE, { what: "3 MB to arrive" });
    expect((await listener.seen())[0]?.ended).toBeUndefined();
    connection.end();
    await until(async () => (await listener.seen())[0]?.ended === "end", { what: "the end to arrive" });
  });

  test("a client that says nothing and ends at once is heard", async () => {
    const { to } = await published("counter");
    expect(await exchange(to, "")).toBe("0");
  });
});

describe("nothing is lost, doubled or moved", () => {
  test("in 200 MB both ways at once", async () => {
    const { to } = await published("echo");
    const { sent, received } = await transfer(to, 200 * MEGABYTE);
    expect(received).toBe(sent);
  });

  test("in eight transfers side by side", async () => {
    const { to } = await published("echo");
    const transfers = Array.from({ length: 8 }, (_, i) => transfer(to, 20 * MEGABYTE + i, 50_000 + 1013 * i));
    for (const { sent, received } of await Promise.all(transfers)) expect(received).toBe(sent);
  });

  test.each([1, 7, 100, 5000])("in many writes of %j bytes", async (chunk) => {
    const { to } = await published("echo");
    const { sent, received } = await transfer(to, Math.min(20_000 * chunk, 10 * MEGABYTE), chunk);
    expect(received).toBe(sent);
  });

  test("when a chat turns into a bulk transfer and back, several times", async () => {
    const { to } = await published("echo");
    using connection = await dial(to);
    for (let round = 0; round < 10; round += 1) {
      for (let i = 0; i < 20; i += 1) await roundTrip(connection, `${round}.${i} `);
      const bulk = Buffer.alloc(MEGABYTE + round, round + 1);
      connection.send(bulk);
      expect((await connection.read(bulk.length)).equals(bulk)).toBe(true);
    }
  });
});

test("a thousand connections, one after the other, are each answered", async () => {
  const { to, id } = await published("echo");
  for (let i = 0; i < 1000; i += 1) expect(await exchange(to, String(i))).toBe(String(i));
  await until(async () => (await run.counters(id)).open === 0, { what: "no open connection" });
  expect(await run.counters(id)).toMatchObject({ accepted: 1000, failed: 0 });
});

describe("a target", () => {
  /** How many connections inside were refused so far: the kernel's own count. */
  async function refusals(): Promise<number> {
    const lines = (await readFile(`/proc/${run.childPid}/net/snmp`, "utf8")).split("\n").filter((l) => /^Tcp:/.test(l));
    const [names = [], values = []] = lines.map((line) => line.split(" "));
    return Number(values[names.indexOf("AttemptFails")]);
  }

  test("that starts a moment after its client is reached", async () => {
    const childPort = 7000; // none of those that the kernel gives to clients
    const { spec } = await run.publish({ proto: "tcp", parentIP: "127.0.0.1", childPort });
    const before = await refusals();
    using connection = await dial({ port: spec.parentPort });
    connection.send("early");
    await until(async () => (await refusals()) > before, { what: "a refused attempt inside", every: 1 });
    await run.listen("echo", { port: childPort, name: "late" });
    expect((await connection.read(10)).toString()).toBe("late\nearly");
  });

  test("that is not there: the client is told within 2 s, and the failure is counted", async () => {
    const { id, spec } = await run.publish({ proto: "tcp", parentIP: "127.0.0.1", childPort: 7001 });
    using connection = await dial({ port: spec.parentPort });
    expect(await connection.ended()).toMatch(/^(end|ECONNRESET)$/);
    expect(await run.counters(id)).toMatchObject({ open: 0, failed: 1 });
  });

  test("that resets its connection: the client gets a reset, too", async () => {
    const { to } = await published("resets");
    using connection = await dial(to);
    connection.send("x");
    expect(await connection.ended()).toBe("ECONNRESET");
  });

  test("gets a reset when its client resets the connection, in the middle of a transfer", async () => {
    const { to, listener } = await published("echo");
    using connection = await dial(to);
    connection.socket.resume();
    connection.send(Buffer.alloc(8 * MEGABYTE));
    await until(async () => ((await listener.seen())[0]?.received ?? 0) > MEGABYTE);
    connection.socket.resetAndDestroy();
    await until(async () => (await listener.seen())[0]?.ended, { what: "the end to arrive" });
    expect((await listener.seen())[0]?.ended).toBe("ECONNRESET");
  });

  test("gets a reset when its client resets an idle connection", async () => {
    const { to, listener } = await published("echo");
    using connection = await dial(to);
    await roundTrip(connection, "hello");
    connection.socket.resetAndDestroy();
    expect(await until(async () => (await listener.seen())[0]?.ended)).toBe("ECONNRESET");
  });
});

test("the counters of a port are live while its connections are open", async () => {
  const { to, id } = await published("echo", "server");
  const fresh = { open: 0, accepted: 0, bytesIn: 0, bytesOut: 0, failed: 0, plain: 0 };
  expect(await run.counters(id)).toEqual(fresh);
  using some = await dialMany(3, to);
  for (const connection of some.all) await connection.read("server\n".length);
  for (const connection of some.all) await roundTrip(connection, "0123456789");
  expect(await run.counters(id)).toEqual({ ...fresh, open: 3, accepted: 3, bytesIn: 30, bytesOut: 51 });
  using busy = await dial(to);
  const bulk = Buffer.alloc(30 * MEGABYTE);
  busy.send(bulk);
  await until(async () => (await run.counters(id)).bytesOut > MEGABYTE, { what: "bytes to be counted in the middle" });
  expect(await run.counters(id)).toMatchObject({ open: 4, accepted: 4 });
  expect((await run.counters(id)).bytesOut).toBeLessThan(bulk.length); // nobody has read them, so many are still on their way
  await busy.read("server\n".length + bulk.length);
  const moved = { bytesIn: 30 + bulk.length, bytesOut: 58 + bulk.length };
  expect(await run.counters(id)).toEqual({ ...fresh, open: 4, accepted: 4, ...moved });
  busy.end();
  await busy.rest();
  await until(async () => (await run.counters(id)).open === 3, { what: "three open connections" });
  expect(await run.counters(id)).toEqual({ ...fresh, open: 3, accepted: 4, ...moved });
});

test("the removal of a port ends its connections, and no other port's", async () => {
  const [removed, kept] = [await published("echo"), await published("echo")];
  using others = await dialMany(3, kept.to);
  using some = await dialMany(20, removed.to);
  for (const connection of [...some.all, ...others.all]) await roundTrip(connection, "hello");
  using busy = await dial(removed.to);
  busy.send(Buffer.alloc(50 * MEGABYTE)); // nobody reads the echo: bytes are stuck everywhere
  await until(async () => ((await removed.listener.seen()).at(-1)?.received ?? 0) > MEGABYTE);
  const portd = await portdOf(run);
  await run.unpublish(removed.id);
  for (const connection of [...some.all, busy]) expect(await connection.ended()).toMatch(/^(end|ECONNRESET)$/);
  await until(async () => (await removed.listener.seen()).every(({ ended }) => ended), { what: "the ends inside" });
  await expect(dial(removed.to)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  for (const connection of others.all) await roundTrip(connection, "still here");
  expect(await portdOf(run)).toBe(portd);
});
