import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseAddress } from "./address.ts";
import { describeProcess, describeUser, findSocket, holderOf, isServed, parseSockets, type Wanted } from "./holder.ts";

// Lines as Linux 6.1 writes them on a little-endian processor.
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:46A0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 48201 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20441 1 0000000000000000 100 0 0 10 0
   2: 0502000A:9C40 0A02000A:01BB 01 00000000:00000000 02:000002A1 00000000  1000        0 50111 2 0000000000000000 20 4 30 10 -1
   3: 0502000A:1F90 0A02000A:01BB 06 00000000:00000000 03:000002A1 00000000     0        0 0 3 0000000000000000
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 31338 1 0000000000000000 100 0 0 10 0
   2: B80D0120000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 31339 1 0000000000000000 100 0 0 10 0
`;
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 17123 2 0000000000000000 0
`;

const entries = [...parseSockets(TCP), ...parseSockets(TCP6)];

describe("parseSockets", () => {
  test("reads IPv4 lines", () => {
    expect(parseSockets(TCP)).toHaveLength(4);
    expect(parseSockets(TCP)[0]).toEqual({
      address: parseAddress("127.0.0.1"),
      port: 18080,
      state: 10,
      uid: 1001,
      inode: 48201,
    });
    expect(parseSockets(UDP)).toEqual([
      { address: parseAddress("127.0.0.53"), port: 53, state: 7, uid: 101, inode: 17123 },
    ]);
  });

  test("reads IPv6 lines, and IPv4 addresses in them", () => {
    expect(parseSockets(TCP6).map(({ address }) => address)).toEqual(
      ["::", "127.0.0.1", "2001:db8::1"].map(parseAddress),
    );
  });

  test.each(["", "garbage\n", "   0: 01:46A0\n", TCP.slice(0, 170)])("takes %j for nothing", (text) => {
    expect(parseSockets(text)).toEqual([]);
  });
});

describe("findSocket blames", () => {
  const stream = (address: string, families: (4 | 6)[], port: number): Wanted => ({
    kind: "stream",
    address: parseAddress(address),
    families,
    port,
  });

  test.each<[string, Wanted, number | undefined]>([
    ["who has the very address", stream("127.0.0.1", [4], 18080), 48201],
    ["who has one address where all were wanted", stream("", [4], 18080), 48201],
    ["who has one address where both versions were wanted", stream("", [6, 4], 18080), 48201],
    ["nobody for another address", stream("127.0.0.2", [4], 18080), undefined],
    ["nobody for IPv6 alone", stream("", [6], 18080), undefined],
    ["who has all addresses", stream("10.0.2.5", [4], 22), 20441],
    ["who has [::], which takes IPv4 along", stream("127.0.0.1", [4], 80), 31337],
    ["who has [::], where all of IPv4 was wanted", stream("", [4], 80), 31337],
    ["who has an IPv4 address on an IPv6 socket", stream("127.0.0.1", [4], 8081), 31338],
    ["who has the very IPv6 address", stream("2001:db8::1", [6], 8082), 31339],
    ["a connection, where nobody listens", stream("", [4], 40000), 50111],
    ["nobody for a connection that is over", stream("", [4], 8080), undefined],
  ])("%s", (_, wanted, inode) => {
    expect(findSocket(entries, wanted)?.inode).toBe(inode);
  });

  test("a listener rather than a connection, an exact address rather than all", () => {
    const at = (address: string, state: number, inode: number) => ({
      ...{ address: parseAddress(address) ?? expect.unreachable(), port: 80, uid: 0 },
      ...{ state, inode },
    });
    const wanted = stream("127.0.0.1", [4], 80);
    expect(findSocket([at("127.0.0.1", 1, 1), at("0.0.0.0", 10, 2), at("::", 10, 3)], wanted)?.inode).toBe(2);
    expect(findSocket([at("0.0.0.0", 10, 2), at("127.0.0.1", 10, 4)], wanted)?.inode).toBe(4);
  });
});

test.each([
  ["nginx\0-g\0daemon off;\0", "pid 7 (nginx -g daemon off;)"],
  ["a\x1b[31mb\nc\u202Ed", "pid 7 (a [31mb c d)"],
  [`/bin/${"x".repeat(100)}\0`, `pid 7 (/bin/${"x".repeat(55)}…)`],
  ["", "pid 7"],
])("the command line %j is shown as %j", (cmdline, text) => {
  expect(describeProcess(7, cmdline)).toBe(text);
});

test.each([
  [0, "a process of user root (uid 0)"],
  [10, "a process of user alice (uid 10)"],
  [1001, "a process of user 10 (uid 1001)"],
  [5, "a process of uid 5"],
])("who can't be looked into is named by uid %i", (uid, text) => {
  const passwd = "root:x:0:0::/root:/bin/sh\n10:x:1001:1001::/:/bin/sh\nalice:x:10:10::/:/bin/sh\n";
  expect(describeUser(uid, passwd)).toBe(text);
});

describe("holderOf, of a real socket,", () => {
  const wanted = (kind: Wanted["kind"], port: number): Wanted => ({
    kind,
    address: parseAddress("127.0.0.1"),
    families: [4],
    port,
  });

  test("finds another process that listens", async () => {
    const program = "require('net').createServer().listen(0,'127.0.0.1',function(){console.log(this.address().port)})";
    const child = spawn(process.execPath, ["-e", program, "the-holder"], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [line] = await once(child.stdout, "data");
    const { pid = 0 } = child;
    expect(holderOf(wanted("stream", Number(line)))).toBe(
      describeProcess(pid, readFileSync(`/proc/${pid}/cmdline`, "utf8")),
    );
  });

  test("finds this process", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    expect(holderOf(wanted("stream", port))).toBe(`rlkit itself (pid ${process.pid}), for another published port`);
    expect([isServed(wanted("stream", port)), isServed(wanted("datagram", port))]).toEqual([true, false]);
  });

  test("finds a datagram socket", async () => {
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    onTestFinished(() => void socket.close());
    await once(socket, "listening");
    const { port } = socket.address();
    expect(holderOf(wanted("datagram", port))).toContain(`pid ${process.pid}`);
    expect(isServed(wanted("datagram", port))).toBe(true);
  });

  test("finds nobody for a port that is free", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    expect(holderOf(wanted("stream", port))).toBeUndefined();
    expect(isServed(wanted("stream", port))).toBe(false);
  });
});
