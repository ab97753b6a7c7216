import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { slirp4netnsDriver } from "./slirp4netns.ts";
import { parsePortSpec } from "./spec.ts";

/** slirp4netns' API as its manual and its version 1.2 have it; a function may answer instead of it. */
async function api(answer?: (request: { execute: string }) => string | undefined) {
  const requests: unknown[] = [];
  const connections = { open: 0, most: 0 };
  let lastId = 10;
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.open += 1;
    connections.most = Math.max(connections.most, connections.open);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("close", () => {
      connections.open -= 1;
    });
    socket.on("end", () => {
      expect(text.endsWith("}\n")).toBe(true);
      const request = JSON.parse(text);
      requests.push(request);
      if (request.execute === "add_hostfwd") lastId += 1;
      const id = request.execute === "add_hostfwd" ? { id: lastId } : {};
      socket.end(answer?.(request) ?? JSON.stringify({ return: id }));
    });
  });
  const directory = mkdtempSync(join(tmpdir(), "slirp-api-"));
  const path = join(directory, "s");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const stop = () => new Promise((resolve) => server.close(resolve));
  onTestFinished(async () => {
    await stop();
    rmSync(directory, { recursive: true });
  });
  return { path, requests, connections, stop };
}

const TAP = "10.0.2.100";
const free = (spec: { parentPort: number }) => spec.parentPort || 40123;
const FAILED = '{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}}';

test.each([
  [":8080:80/tcp", { proto: "tcp", host_addr: "0.0.0.0", host_port: 8080, guest_addr: TAP, guest_port: 80 }],
  [
    "127.0.0.1:53:5353/udp4",
    { proto: "udp", host_addr: "127.0.0.1", host_port: 53, guest_addr: TAP, guest_port: 5353 },
  ],
  [
    "192.0.2.1:1:10.0.2.15:2/tcp4",
    { proto: "tcp", host_addr: "192.0.2.1", host_port: 1, guest_addr: "10.0.2.15", guest_port: 2 },
  ],
  [":0:80/tcp", { proto: "tcp", host_addr: "0.0.0.0", host_port: 40123, guest_addr: TAP, guest_port: 80 }],
])("%s is asked for as %j", async (text, args) => {
  const { path, requests } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  const spec = parsePortSpec(text);
  expect(await driver.open(1, spec)).toEqual({ ...spec, parentPort: spec.parentPort || 40123 });
  expect(requests).toEqual([{ execute: "add_hostfwd", arguments: args }]);
});

test("removes by slirp4netns' own id", async () => {
  const { path, requests } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  await driver.open(1, parsePortSpec(":1:1/tcp"));
  await driver.open(2, parsePortSpec(":2:2/tcp"));
  await driver.close(2);
  expect(requests.at(-1)).toEqual({ execute: "remove_hostfwd", arguments: { id: 12 } });
  await driver.close(2);
  expect(requests).toHaveLength(3);
  expect(driver.counters()).toBeUndefined();
});

test("has one connection at a time: slirp4netns refuses more than a few", async () => {
  const { path, connections, requests } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  const ids = [1, 2, 3, 4];
  await Promise.all(ids.map((id) => driver.open(id, parsePortSpec(`:${id}:1/tcp`))));
  await Promise.all(ids.map((id) => driver.close(id)));
  expect([connections.most, requests.length]).toEqual([1, 8]);
});

describe("refuses, without asking,", () => {
  test.each([
    [":80:80/tcp6", 'unsupported protocol "tcp6"'],
    [":80:80/udp6", 'unsupported protocol "udp6"'],
    [":80:80/sctp", 'unsupported protocol "sctp"'],
    ["[::1]:80:80/tcp", "unsupported IP (v6?): ::1"],
    [":80:[fd00::100]:80/tcp", "unsupported IP (v6?): fd00::100"],
    [":80:127.0.0.1:80/tcp", 'unsupported ChildIP "127.0.0.1": slirp4netns reaches no loopback address inside'],
  ])("%s", async (text, message) => {
    const driver = slirp4netnsDriver("/nonexistent", TAP, () => expect.unreachable("probed"));
    await expect(driver.open(1, parsePortSpec(text))).rejects.toThrow(
      expect.objectContaining({ code: "PORT", message }),
    );
  });
});

describe("passes on", () => {
  test.each([
    [FAILED, "slirp4netns: bad request: add_hostfwd: slirp_add_hostfwd failed"],
    ['{"return":{}}', 'slirp4netns: unexpected reply: {"return":{}}'],
    ["", 'slirp4netns: answered with something else: ""'],
    ["x".repeat(100_000), "slirp4netns: an answer without end"],
  ])("that slirp4netns answers %.80s", async (answer, message) => {
    const { path } = await api(() => answer);
    const driver = slirp4netnsDriver(path, TAP, free);
    await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow(
      expect.objectContaining({ code: "PORT", message }),
    );
  });

  test("why the port can't be had, which slirp4netns does not say", async () => {
    const { path, requests } = await api();
    const driver = slirp4netnsDriver(path, TAP, () => {
      throw new Error("address already in use");
    });
    await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow("address already in use");
    expect(requests).toEqual([]);
  });

  test("that a port could not be removed, and tries again next time", async () => {
    let refuse = true;
    const { path, requests } = await api(({ execute }) =>
      execute === "remove_hostfwd" && refuse ? '{"error":{"desc":"bad arguments.id"}}' : undefined,
    );
    const driver = slirp4netnsDriver(path, TAP, free);
    await driver.open(1, parsePortSpec(":80:80/tcp"));
    await expect(driver.close(1)).rejects.toThrow("slirp4netns: bad arguments.id");
    refuse = false;
    await driver.close(1);
    expect(requests).toHaveLength(3);
  });
});

test("takes another free port when the first is gone meanwhile, but never another one than asked for", async () => {
  let failures = 2;
  const { path, requests } = await api(({ execute }) =>
    execute === "add_hostfwd" && failures-- > 0 ? FAILED : undefined,
  );
  let port = 40000;
  const driver = slirp4netnsDriver(path, TAP, (spec) => spec.parentPort || ++port);
  expect(await driver.open(1, parsePortSpec(":0:80/tcp"))).toMatchObject({ parentPort: 40003 });
  failures = 1;
  await expect(driver.open(2, parsePortSpec(":80:80/tcp"))).rejects.toThrow("slirp_add_hostfwd failed");
  expect(requests).toHaveLength(4);
});

test("without slirp4netns, closing succeeds and opening says so", async () => {
  const { path, stop } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  await driver.open(1, parsePortSpec(":80:80/tcp"));
  await stop();
  await driver.close(1);
  await expect(driver.open(2, parsePortSpec(":80:80/tcp"))).rejects.toThrow(/slirp4netns: connect E/);
});

test("tells a new slirp4netns of the ports, and learns their new ids", async () => {
  const { path, requests } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  await driver.open(1, parsePortSpec(":0:80/tcp"));
  await driver.replay();
  expect(requests[1]).toEqual(requests[0]);
  await driver.close(1);
  expect(requests[2]).toEqual({ execute: "remove_hostfwd", arguments: { id: 12 } });
});

test("a new slirp4netns is not told to remove by an old number", async () => {
  const { path, requests } = await api();
  const driver = slirp4netnsDriver(path, TAP, free);
  await driver.open(1, parsePortSpec(":1:1/tcp"));
  await driver.open(2, parsePortSpec(":2:2/tcp"));
  await Promise.all([driver.replay(), driver.close(2)]);
  await driver.close(1);
  expect(requests.filter((request) => (request as { execute: string }).execute === "remove_hostfwd")).toEqual([
    { execute: "remove_hostfwd", arguments: { id: 14 } },
    { execute: "remove_hostfwd", arguments: { id: 13 } },
  ]);
});
