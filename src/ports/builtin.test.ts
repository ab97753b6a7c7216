import { fstatSync, openSync } from "node:fs";
import { expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { builtinDriver } from "./builtin.ts";
import type { DataPlane } from "./driver.ts";
import type { ListenRequest } from "./portd-encoding.ts";
import { parsePortSpec } from "./spec.ts";

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
};

/** The driver on a data plane that only takes notes, with descriptors of /dev/null as listeners. */
function setUp({ keep = async () => true, refuse = "" }: { keep?: () => Promise<boolean>; refuse?: string } = {}) {
  const notes: unknown[] = [];
  const fds: number[] = [];
  const failing = async (call: string): Promise<void> => {
    if (refuse === call) throw new RlkitError("PORT", `no ${call}`);
  };
  const plane: DataPlane = {
    async listen(request, fd) {
      notes.push({ ...request, fd, open: isOpen(fd) });
      await failing("listen");
    },
    async close(port) {
      notes.push({ close: port, open: fds.map(isOpen) });
      await failing("close");
    },
    counters: async () => new Map([[1, { open: 0, accepted: 2, bytesIn: 3, bytesOut: 4, failed: 5, plain: 6 }]]),
  };
  const open = () => {
    const fd = openSync("/dev/null", "r");
    fds.push(fd);
    return { fd, port: 40123 };
  };
  const clients = async (_: string, kind: ListenRequest["kind"]) => ({
    keepClient: kind === "stream" && (await keep()),
    standIn: "10.0.2.100",
  });
  return { driver: builtinDriver(plane, { clients, open }), notes, fds };
}

test("has the data plane serve the listener, with the picked port in the spec", async () => {
  const { driver, notes, fds } = setUp();
  const spec = parsePortSpec("192.0.2.1:0:80/tcp");
  expect(await driver.open(7, spec)).toEqual({ ...spec, parentPort: 40123 });
  expect(notes).toEqual([
    {
      ...{ port: 7, kind: "stream", keepClient: true, patience: 300, target: "127.0.0.1", targetPort: 80 },
      ...{ standIn: "10.0.2.100", fd: fds[0], open: true },
    },
  ]);
  expect((await driver.counters())?.get(1)).toMatchObject({ accepted: 2 });
});

test.each([
  [":80:80/tcp", true],
  [":80:80/tcp6", true],
  ["192.0.2.1:80:80/tcp4", true],
  ["127.0.0.1:80:80/tcp", false],
  ["[::1]:80:80/tcp", false],
  [":80:80/udp", false],
])("for %s, the client's address is to be kept: %s", async (text, keepClient) => {
  const { driver, notes } = setUp();
  await driver.open(1, parsePortSpec(text));
  expect(notes).toMatchObject([{ keepClient }]);
});

test("does not ask about the clients of a port that only this host can reach", async () => {
  const { driver, notes } = setUp({ keep: () => expect.unreachable("they are on loopback") });
  await driver.open(1, parsePortSpec("127.0.0.1:80:80/tcp"));
  await driver.open(2, parsePortSpec("[::1]:80:80/udp"));
  expect(notes).toMatchObject([{ standIn: "" }, { standIn: "" }]);
});

test("closes the listener when the data plane does not take it, or addresses can't be asked about", async () => {
  const refusing = setUp({ refuse: "listen" });
  await expect(refusing.driver.open(1, parsePortSpec(":80:80/udp"))).rejects.toThrow("no listen");
  const broken = setUp({ keep: () => Promise.reject(new RlkitError("PORT", "no rules")) });
  await expect(broken.driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow("no rules");
  expect([...refusing.fds, ...broken.fds].map(isOpen)).toEqual([false, false]);
  await refusing.driver.replay({ listen: () => expect.unreachable("it was never served") });
});

test.each(["", "close"])(
  "closes the listener after the data plane has closed the port (refusing: %j)",
  async (refuse) => {
    const { driver, notes, fds } = setUp({ refuse });
    await driver.open(1, parsePortSpec("127.0.0.1:80:80/tcp"));
    await driver.close(1);
    expect(notes.slice(1)).toEqual([{ close: 1, open: [true] }]);
    expect(fds.map(isOpen)).toEqual([false]);
    await driver.close(1);
    expect(notes).toHaveLength(2);
  },
);

test("tells a new data plane of all ports that are there, by the same listeners", async () => {
  const { driver, fds } = setUp();
  for (const id of [1, 2, 3]) await driver.open(id, parsePortSpec("127.0.0.1:80:80/tcp"));
  await driver.close(2);
  const told: [ListenRequest, number][] = [];
  await driver.replay({ listen: async (request, fd) => void told.push([request, fd]) });
  expect(told.map(([{ port }, fd]) => [port, fd])).toEqual([
    [1, fds[0]],
    [3, fds[2]],
  ]);
});

test("a port that the new data plane does not take does not keep the others from it", async () => {
  const { driver } = setUp();
  for (const id of [1, 2]) await driver.open(id, parsePortSpec("127.0.0.1:80:80/tcp"));
  const served: number[] = [];
  await driver.replay({
    async listen({ port }) {
      if (port === 1) throw new RlkitError("PORT", "no");
      served.push(port);
    },
  });
  expect(served).toEqual([2]);
});

test("refuses sctp", async () => {
  const driver = builtinDriver({} as DataPlane, { clients: () => expect.unreachable() });
  await expect(driver.open(1, parsePortSpec(":80:80/sctp"))).rejects.toThrow("unsupported port protocol sctp");
});
