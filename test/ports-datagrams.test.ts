import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, type DatagramClient, datagramClient, heldDatagrams } from "./helpers/client.ts";
import { type Neighbour, startNeighbour } from "./helpers/neighbour.ts";
import { type Inside, inside } from "./helpers/ports.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
let run: Inside;

beforeAll(async () => {
  user = await testUser();
  run = await inside(user, ["--net=slirp4netns", "--port-driver=builtin"]);
});

afterAll(async () => {
  await run?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A service inside that gives datagrams back, and its port on the host. */
async function published(spec: object = { parentIP: "127.0.0.1" }, name?: string) {
  const listener = await run.listen("datagrams", name === undefined ? {} : { name });
  const { id, spec: asked } = await run.publish({ proto: "udp", childPort: listener.port, ...spec });
  return { listener, id, port: asked.parentPort };
}

test.each([0, 1, 1472, 9000, 60_000, 65_507])("a datagram of %j bytes goes there and back as one", async (size) => {
  const { port } = await published();
  using client = await datagramClient({ port });
  const bytes = randomBytes(size);
  expect((await client.ask(bytes)).equals(bytes)).toBe(true);
});

test("each of 300 clients gets the answers to its own datagrams, and they are counted", async () => {
  const { port, id } = await published();
  const clients: DatagramClient[] = [];
  try {
    for (let i = 0; i < 300; i += 1) clients.push(await datagramClient({ port }));
    for (let at = 0; at < 900; at += 60) {
      // No more at once than the server's socket surely has room for.
      const answers = clients.slice(at % 300, (at % 300) + 60).map(async (client, i) => {
        return (await client.ask(`${at + i}`)).toString();
      });
      expect(await Promise.all(answers)).toEqual(Array.from({ length: 60 }, (_, i) => `${at + i}`));
    }
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  expect(await run.counters(id)).toMatchObject({ open: 300, accepted: 300, failed: 0 });
});

test("a client keeps its port inside: the server sees one client, however often it asks", async () => {
  const { port, listener } = await published();
  using client = await datagramClient({ port });
  for (let i = 0; i < 10; i += 1) await client.ask(String(i));
  const seen = (await listener.seen()) as { from: string; port?: number }[];
  expect(seen.length).toBe(10);
  expect(new Set(seen.map(({ from, port }) => `${from}:${port}`)).size).toBe(1);
});

test("a server that was not there yet, or is started again, is reached by the same client", async () => {
  const childPort = 7000; // none of those that the kernel gives to clients
  const { spec } = await run.publish({ proto: "udp", parentIP: "127.0.0.1", childPort });
  using client = await datagramClient({ port: spec.parentPort });
  client.socket.on("error", () => {}); // being told that nobody is there is no obstacle
  const answers: string[] = [];
  client.socket.on("message", (bytes) => answers.push(bytes.toString()));
  for (const name of ["first", "second"]) {
    client.socket.send("nobody is there");
    const listener = await run.listen("datagrams", { port: childPort, name });
    const answered = (): boolean => {
      client.socket.send("hello");
      return answers.includes(`${name}\nhello`);
    };
    await until(answered, { what: `an answer of the ${name} server` });
    await listener.shut();
  }
});

test("the removal of a port frees it at once, and its clients get no more answers", async () => {
  const { port, id } = await published();
  using client = await datagramClient({ port });
  await client.ask("hello");
  await run.unpublish(id);
  await (await heldDatagrams(port, "127.0.0.1"))[Symbol.asyncDispose]();
  await expect(client.ask("hello again")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

describe("a client on another machine gets the answer from the address that it asked", () => {
  let neighbour: Neighbour;

  beforeAll(async () => {
    neighbour = await startNeighbour();
  });

  afterAll(() => neighbour?.[Symbol.asyncDispose]());

  test.each([
    ["the first address", "udp", undefined, () => neighbour.host[0]],
    ["the first address, of a strict IPv4 port", "udp4", undefined, () => neighbour.host[0]],
    ["the second address", "udp", undefined, () => neighbour.host[1]],
    ["the second address, of a strict IPv4 port", "udp4", "0.0.0.0", () => neighbour.host[1]],
    ["the second address alone", "udp", () => neighbour.host[1], () => neighbour.host[1]],
    ["the IPv6 address", "udp", undefined, () => neighbour.host6],
    ["the IPv6 address, of a strict IPv6 port", "udp6", "::", () => neighbour.host6],
  ] as const)("%s", async (_, proto, parentIP, address) => {
    const given = typeof parentIP === "function" ? parentIP() : parentIP;
    const { port } = await published({ proto, ...(given !== undefined && { parentIP: given }) }, "inside");
    for (const text of ["one", "two"]) {
      const answer = await neighbour.datagram(address(), port, text);
      expect(answer).toEqual({ text: `inside\n${text}`, address: address(), port });
    }
  });

  test("and does not appear as 127.0.0.1 inside, which programs trust", async () => {
    const { port, listener } = await published({ proto: "udp" });
    await neighbour.datagram(neighbour.host[0], port, "who am I?");
    await ask({ port }, "and I?");
    expect((await listener.seen()).map(({ from }) => from)).toEqual(["10.0.2.100", "127.0.0.1"]);
  });

  test("a port of 127.0.0.1 is not to be reached from there", async () => {
    const { port } = await published();
    expect(await ask({ port }, "here")).toBe("here");
    await expect(neighbour.datagram(neighbour.host[0], port, "there", 300)).rejects.toThrow();
  });
});
