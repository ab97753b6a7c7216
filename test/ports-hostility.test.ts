import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Connection,
  type DatagramClient,
  datagramClient,
  dial,
  dialMany,
  exchange,
  roundTrip,
  transfer,
} from "./helpers/client.ts";
import { type Inside, inside, portdOf } from "./helpers/ports.ts";
import { start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until, within } from "./helpers/wait.ts";

const MEGABYTE = 1024 * 1024;

let user: User;
let run: Inside;

beforeEach(async () => {
  user = await testUser();
  run = await inside(user, ["--net=none"]);
});

afterEach(async () => {
  await run?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A service inside, and its port on the host. */
async function published(service: Parameters<Inside["listen"]>[0]) {
  const listener = await run.listen(service);
  const proto = service === "datagrams" ? "udp" : "tcp";
  const { id, spec } = await run.publish({ proto, parentIP: "127.0.0.1", childPort: listener.port });
  return { listener, id, to: { port: spec.parentPort } };
}

/** What a process has open, by descriptor: "socket:[123]", "pipe:[45]", … */
async function openFiles(pid: number): Promise<Map<number, string>> {
  const files = new Map<number, string>();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""); // it has just closed that one
    if (link !== "") files.set(Number(fd), link);
  }
  return files;
}

/** How many different files of a kind a process has open; a pipe is one, though it has two ends. */
async function openOf(kind: "socket" | "pipe", pid: number): Promise<number> {
  return new Set([...(await openFiles(pid)).values()].filter((link) => link.startsWith(`${kind}:`))).size;
}

/** Bytes of memory that a process has. */
async function memory(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** Milliseconds of processor time that a process uses in so many of the clock's. */
async function processorTimeOf(pid: number, duration: number): Promise<number> {
  const used = async (): Promise<number> => {
    const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10; // in ticks of 1/100 s
  };
  const before = await used();
  await pause(duration); // nothing is to happen, so there is nothing to wait for
  return (await used()) - before;
}

/** The longest of the round trips that fit into the time until `over`, in milliseconds. */
async function longestRoundTrip(connection: Connection, over: Promise<unknown>): Promise<number> {
  let goesOn = true;
  let longest = 0;
  const roundTrips = async (): Promise<void> => {
    for (let i = 0; goesOn; i += 1) {
      const before = performance.now();
      await roundTrip(connection, `round trip ${i}`);
      longest = Math.max(longest, performance.now() - before);
    }
  };
  const ended = over.finally(() => {
    goesOn = false;
  });
  await Promise.all([ended, roundTrips()]);
  return longest;
}

/** The same for a fresh connection to a service that echoes. */
async function longestRoundTripBeside(to: { port: number }, over: Promise<unknown>): Promise<number> {
  using connection = await dial(to);
  return await longestRoundTrip(connection, over);
}

test("clients that come in a flood and go at once hold nobody up, and nothing of them stays", async () => {
  const { to, id } = await published("echo");
  using steady = await dial(to);
  await roundTrip(steady, "hello");
  const sockets = await openOf("socket", await portdOf(run));
  const flood = async (): Promise<void> => {
    for (let i = 0; i < 500; i += 1) {
      using connection = await dial(to);
      connection.send("gone");
      connection.socket.resetAndDestroy();
    }
  };
  expect(await longestRoundTrip(steady, Promise.all(Array.from({ length: 8 }, flood)))).toBeLessThan(1000);
  // The last of them may still wait to be accepted.
  const onlySteady = async () =>
    (await run.counters(id)).open === 1 && (await openOf("socket", await portdOf(run))) === sockets;
  await until(onlySteady, { what: "one open connection, and its two sockets" });
});

/** Reads what a `flood` service says, in pieces; true if that is all there, in its order. */
async function readsPattern(connection: Connection, bytes: number): Promise<boolean> {
  const pattern = Buffer.alloc(
    251 * 1024,
    Uint8Array.from({ length: 251 }, (_, i) => i),
  );
  const piece = 100_003;
  for (let at = 0; at < bytes; at += piece) {
    const begin = at % 251;
    const part = await connection.read(piece);
    if (!part.equals(pattern.subarray(begin, begin + piece))) return false;
  }
  return true;
}

describe("who does not read", () => {
  test("as a client, holds up only the server that talks to it, costs nothing meanwhile, and gets all later", async () => {
    const [flood, echo] = [await published("flood"), await published("echo")];
    const portd = await portdOf(run);
    using slow = await dialMany(60, flood.to);
    await until(async () => (await run.counters(flood.id)).bytesOut > 60 * 64 * 1024, { what: "bytes to be stuck" });
    expect(await longestRoundTripBeside(echo.to, transfer(echo.to, 20 * MEGABYTE))).toBeLessThan(1000);
    expect(await processorTimeOf(portd, 300)).toBeLessThan(100);
    expect(await memory(portd)).toBeLessThan(24 * MEGABYTE);
    for (const connection of slow.all.slice(0, 3)) expect(await readsPattern(connection, 16 * MEGABYTE)).toBe(true);
  });

  test("as a server, holds up only its own clients, and gets all later", async () => {
    const [deaf, echo] = [await published("deaf"), await published("echo")];
    using some = await dialMany(10, deaf.to);
    for (const connection of some.all) connection.send(Buffer.alloc(32 * MEGABYTE));
    await until(async () => (await run.counters(deaf.id)).bytesIn > 10 * 64 * 1024, { what: "bytes to be stuck" });
    expect(await exchange(echo.to, "hello")).toBe("hello");
    const { sent, received } = await transfer(echo.to, 20 * MEGABYTE);
    expect(received).toBe(sent);
    await deaf.listener.hear();
    const heard = async () => (await deaf.listener.seen()).map(({ received }) => received);
    await until(async () => (await heard()).every((bytes) => bytes === 32 * MEGABYTE), { what: "all to be heard" });
  });
});

describe("with all its descriptors used up portd", () => {
  /** Sets how many descriptors a process of the user's may have; it can be raised again. */
  async function limitOpenFiles(pid: number, limit: number): Promise<void> {
    await using prlimit = start(user, ["prlimit", `--pid=${pid}`, `--nofile=${limit}:`]);
    expect(await prlimit.result()).toMatchObject({ code: 0, stderr: "" });
  }

  /** Sets the limit so that it can open nothing more unless it closes something. */
  async function exhaust(pid: number): Promise<void> {
    const files = [...(await openFiles(pid)).keys()].sort((a, b) => a - b);
    await limitOpenFiles(pid, (files.findLast((fd, i) => fd === i) ?? 0) + 1);
  }

  test("serves what is open, has others wait without spinning, and serves those when descriptors come back", async () => {
    const { to } = await published("echo");
    using open = await dialMany(10, to);
    for (const connection of open.all) await roundTrip(connection, "before");
    const portd = await portdOf(run);
    await exhaust(portd);
    using waiting = await dialMany(30, to);
    for (const [i, connection] of waiting.all.entries()) connection.send(`early ${i}`);
    for (const connection of open.all) await roundTrip(connection, "meanwhile");
    const [first] = open.all;
    const bulk = Buffer.alloc(20 * MEGABYTE, "bulk");
    first?.send(bulk);
    expect((await first?.read(bulk.length))?.equals(bulk)).toBe(true);
    expect(await processorTimeOf(portd, 500)).toBeLessThan(100);
    await limitOpenFiles(portd, 1024);
    for (const [i, connection] of waiting.all.entries()) {
      expect((await connection.read(`early ${i}`.length)).toString()).toBe(`early ${i}`);
    }
    for (const connection of open.all) await roundTrip(connection, "after");
    expect(await portdOf(run)).toBe(portd);
  });

  test("serves as many of the waiting as connections have ended", async () => {
    const { to, id } = await published("echo");
    using open = await dialMany(10, to);
    for (const connection of open.all) await roundTrip(connection, "before");
    const portd = await portdOf(run);
    await exhaust(portd);
    using waiting = await dialMany(5, to);
    for (const connection of waiting.all) connection.send("x");
    for (const connection of open.all) connection.socket.destroy();
    for (const connection of waiting.all) expect((await connection.read(1)).toString()).toBe("x");
    await until(async () => (await run.counters(id)).open === 5, { what: "five open connections" });
  });

  test("has UDP clients take the place of each other, and of no connection", async () => {
    const [echo, datagrams] = [await published("echo"), await published("datagrams")];
    using open = await dial(echo.to);
    await roundTrip(open, "before");
    using known = await datagramClient(datagrams.to);
    await known.ask("before");
    const portd = await portdOf(run);
    await exhaust(portd);
    using fresh = await datagramClient(datagrams.to);
    for (let i = 0; i < 10; i += 1) {
      for (const client of [fresh, known]) expect((await client.ask(`${i}`)).toString()).toBe(`${i}`);
    }
    await roundTrip(open, "meanwhile");
    await limitOpenFiles(portd, 1024);
    for (const client of [fresh, known]) expect((await client.ask("after")).toString()).toBe("after");
    await until(async () => (await run.counters(datagrams.id)).open === 2, { what: "both clients to be served" });
    await roundTrip(open, "after");
  });
});

test("2,000 idle connections hold no pipe and little memory, whatever they have carried before", async () => {
  const { to, id } = await published("echo");
  using idle = await dialMany(2000, to);
  for (const connection of idle.all) await roundTrip(connection, "x");
  const bulk = Buffer.alloc(MEGABYTE, "bulk");
  for (const connection of idle.all.slice(0, 100)) {
    connection.send(bulk);
    await connection.read(bulk.length);
  }
  expect(await run.counters(id)).toMatchObject({ open: 2000, failed: 0 });
  const portd = await portdOf(run);
  await until(async () => (await openOf("pipe", portd)) <= 16, { what: "pipes to be given back" });
  await until(async () => (await memory(portd)) < 8 * MEGABYTE, { what: "memory to be given back" });
  expect(await exchange(to, "served")).toBe("served");
});

/** A process of the user's that has all the pipe pages that the kernel grants the user. */
async function pipeHog(): Promise<AsyncDisposable> {
  const [SET_SIZE, GET_SIZE] = [1031, 1032]; // F_SETPIPE_SZ, F_GETPIPE_SZ
  const script = `
    my @pipes;
    for my $i (1 .. 4000) {
      pipe(my $r, my $w) or last;
      push @pipes, $r, $w;
      last if fcntl($w, ${GET_SIZE}, 0) < 65536;
      fcntl($w, ${SET_SIZE}, 1 << 20);
      if ($i == 4000) { print "there is no limit\\n"; exit }
    }
    $| = 1; print "full\\n"; sleep 1000`;
  const hog = start(user, ["perl", "-e", script]);
  await until(() => hog.stdout === "full\n", { what: `the limit of pipe pages; ${hog.stdout}${hog.stderr}` });
  return hog;
}

test("when the user has no pipe pages left, everything is still forwarded whole, to slow readers too", async () => {
  const [echo, flood] = [await published("echo"), await published("flood")];
  await using _hog = await pipeHog();
  const before = performance.now();
  const transfers = Array.from({ length: 8 }, (_, i) => transfer(echo.to, 20 * MEGABYTE + i));
  for (const { sent, received } of await Promise.all(transfers)) expect(received).toBe(sent);
  expect(performance.now() - before).toBeLessThan(10_000); // 16 MB/s: anything that works at all is faster
  using slow = await dialMany(3, flood.to);
  for (const connection of slow.all) expect(await readsPattern(connection, 8 * MEGABYTE)).toBe(true);
});

test("a thousand ports are published, each answers, and all go again", async () => {
  const { port: childPort } = await run.listen("echo");
  const spec = { proto: "tcp", parentIP: "127.0.0.1", childPort };
  const ports = await run.publishAll(Array.from({ length: 1000 }, () => spec));
  expect((await run.list()).length).toBe(1000);
  const answer = async ({ id, spec }: (typeof ports)[number]) => exchange({ port: spec.parentPort }, String(id));
  for (let i = 0; i < 1000; i += 100) {
    const some = ports.slice(i, i + 100);
    expect(await Promise.all(some.map(answer))).toEqual(some.map(({ id }) => String(id)));
  }
  for (const { id } of ports) await run.unpublish(id);
  expect(await run.list()).toEqual([]);
  for (const { spec } of ports) {
    await expect(dial({ port: spec.parentPort })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  }
  const sockets = await openOf("socket", await portdOf(run));
  expect(sockets).toBeLessThan(10);
});

test("3,000 UDP clients are each answered, and TCP goes on meanwhile", async () => {
  const [echo, datagrams] = [await published("echo"), await published("datagrams")];
  using steady = await dial(echo.to);
  const clients: DatagramClient[] = [];
  try {
    const askAll = async (): Promise<void> => {
      for (let i = 0; i < 3000; i += 1) {
        const client = await datagramClient(datagrams.to);
        clients.push(client);
        expect((await client.ask(String(i))).toString()).toBe(String(i));
      }
    };
    expect(await longestRoundTrip(steady, askAll())).toBeLessThan(1000);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  expect(await run.counters(datagrams.id)).toMatchObject({ open: 3000, accepted: 3000 });
});

test("resets under load, from both sides, leave no connection behind", async () => {
  const [echo, resets] = [await published("echo"), await published("resets")];
  using warm = await dial(echo.to);
  await roundTrip(warm, "hello");
  const portd = await portdOf(run);
  const sockets = await openOf("socket", portd);
  const bulk = Buffer.alloc(512 * 1024);
  const resetSoon = async (i: number): Promise<void> => {
    using connection = await dial(echo.to);
    connection.send(bulk);
    await connection.read(1 + ((i * 7919) % bulk.length));
    if (i % 3 === 0) connection.end();
    connection.socket.resetAndDestroy();
  };
  const getReset = async (): Promise<void> => {
    using connection = await dial(resets.to);
    connection.send(bulk);
    expect(await connection.ended()).toMatch(/^(ECONNRESET|EPIPE)$/);
  };
  for (let round = 0; round < 5; round += 1) {
    const some = Array.from({ length: 60 }, (_, i) => (i % 2 ? resetSoon(round * 60 + i) : getReset()));
    await within(20_000, () => "sixty connections to be reset", Promise.all(some));
  }
  for (const [{ id }, open] of [
    [echo, 1],
    [resets, 0],
  ] as const) {
    await until(async () => (await run.counters(id)).open === open, { what: `${open} open connections of port ${id}` });
  }
  await until(async () => (await openOf("socket", portd)) === sockets, { what: "every socket to be closed" });
  await roundTrip(warm, "still here");
});
