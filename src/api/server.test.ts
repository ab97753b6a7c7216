import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import type { PortCounters, PortDriver, PortSpec } from "../ports/driver.ts";
import { PortTable } from "../ports/table.ts";
import type { Info } from "./info.ts";
import type { Api } from "./routes.ts";
import { type ApiServer, serveApi } from "./server.ts";

const info: Info = {
  apiVersion: "1.1.2",
  version: "1.2.3",
  stateDir: "/run/<s&d>",
  childPID: 42,
  portDriver: {
    driver: "builtin",
    protos: ["tcp", "tcp4", "tcp6"],
    capabilities: { ipv6: true, udp: false, sourceIP: [] },
  },
};

/** A driver that publishes nothing and can be made to fail. */
function fakeDriver() {
  const open = new Map<number, PortSpec>();
  const counters: PortCounters = { open: 1, accepted: 2, bytesIn: 3, bytesOut: 4, failed: 5, plain: 6 };
  const driver: PortDriver = {
    name: "builtin",
    async open(id, spec) {
      if (spec.parentPort === 666) throw new RlkitError("PORT", "listen <tcp>: in use", { hint: "look & see" });
      if (spec.parentPort === 667) throw new Error("a bug");
      open.set(id, spec);
      return { ...spec, parentPort: spec.parentPort || 40_000 + id };
    },
    async close(id) {
      open.delete(id);
    },
    counters: async () => new Map([...open.keys()].map((id) => [id, counters])),
  };
  return { open, driver };
}

let directory: string;
let socketPath: string;
let server: ApiServer;
let open: ReadonlyMap<number, PortSpec>;
let api: Api;
let mayConnect: (socket: Socket) => boolean;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rlkit-api-"));
  socketPath = join(directory, "api.sock");
  const fake = fakeDriver();
  open = fake.open;
  const ports = new PortTable(fake.driver, () => {});
  api = {
    info: () => info,
    ports,
    metrics: async () => ({
      version: "1",
      network: "none",
      portDriver: "builtin",
      ports: ports.list(),
      counters: await ports.counters(),
      processes: [],
    }),
  };
  mayConnect = () => true;
  server = serveApi({ path: socketPath }, api, (socket) => mayConnect(socket));
});

afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
  vi.restoreAllMocks();
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

async function ask(method: string, path: string, body?: string | Uint8Array, agent?: Agent): Promise<Answer> {
  const asked = request({ socketPath, method, path, host: "rootlesskit", agent: agent ?? false });
  asked.end(body);
  const [response] = await once(asked, "response");
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const post = (spec: unknown) => ask("POST", "/v1/ports", JSON.stringify(spec));
const tcp = (parentPort: number) => ({ proto: "tcp", parentPort, childPort: 80 });

/** All that the server sends in answer to raw bytes, until it closes the connection or `until` has come. */
async function raw(bytes: string | Buffer, until = ""): Promise<string> {
  const socket = connect(socketPath);
  let answer = "";
  socket.on("error", () => {}); // cut off while we still write
  socket.setEncoding("utf8").on("data", (chunk) => {
    answer += chunk;
    if (until !== "" && answer.includes(until)) socket.destroy();
  });
  socket.write(bytes);
  await new Promise((closed) => socket.once("close", closed));
  return answer;
}

const refused = (status: string) =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`;

describe("info", () => {
  test("is JSON as Go writes it", async () => {
    const { status, headers, body } = await ask("GET", "/v1/info");
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["content-length"]).toBe(String(body.length));
    expect(body).toContain('"stateDir":"/run/\\u003cs\\u0026d\\u003e","childPID":42,"portDriver":{"driver":"builtin"');
    expect(JSON.parse(body)).toEqual(info);
  });
});

describe("ports", () => {
  test("are added, listed and removed", async () => {
    expect(await ask("GET", "/v1/ports")).toMatchObject({ status: 200, body: "[]" });
    const spec = { childIP: "::1", childPort: 80, parentIP: "127.0.0.1", parentPort: 8080, proto: "tcp" };
    const first =
      '{"id":1,"spec":{"proto":"tcp","parentIP":"127.0.0.1","parentPort":8080,"childPort":80,"childIP":"::1"}}';
    expect(await post(spec)).toMatchObject({
      status: 201,
      body: first,
      headers: { "content-type": "application/json" },
    });
    const second = '{"id":2,"spec":{"proto":"tcp","parentPort":81,"childPort":80}}';
    expect(await post({ ...tcp(81), parentIP: "", childIP: "" })).toMatchObject({ status: 201, body: second });
    expect(await ask("GET", "/v1/ports")).toMatchObject({ status: 200, body: `[${first},${second}]` });
    const removed = await ask("DELETE", "/v1/ports/1");
    expect(removed).toMatchObject({ status: 200, body: "", headers: { "content-length": "0" } });
    expect(removed.headers["content-type"]).toBeUndefined();
    expect(await ask("GET", "/v1/ports")).toMatchObject({ body: `[${second}]` });
    expect([...open.values()]).toMatchObject([{ parentPort: 81 }]);
  });

  test("have counters for those who ask", async () => {
    await post(tcp(80));
    const { body } = await ask("GET", "/v1/ports?counters");
    expect(JSON.parse(body)[0].counters).toEqual({
      open: 1,
      accepted: 2,
      bytesIn: 3,
      bytesOut: 4,
      failed: 5,
      plain: 6,
    });
    expect((await ask("GET", "/v1/ports")).body).not.toContain("counters");
  });

  test("of a driver without counters are listed all the same", async () => {
    vi.spyOn(api.ports as PortTable, "counters").mockReturnValue(undefined);
    await post(tcp(80));
    expect(await ask("GET", "/v1/ports?counters")).toMatchObject({
      status: 200,
      body: (await ask("GET", "/v1/ports")).body,
    });
  });

  test("0 and nothing ask for a free port", async () => {
    for (const spec of [tcp(0), { proto: "tcp", childPort: 80 }]) {
      const { id, spec: picked } = JSON.parse((await post(spec)).body);
      expect(picked.parentPort).toBe(40_000 + id);
    }
  });

  test("come as a set, all or none", async () => {
    expect(await post([])).toMatchObject({ status: 201, body: "[]" });
    expect(await post([tcp(80), { ...tcp(666), proto: "tcp4" }])).toMatchObject({ status: 400 });
    expect(open.size).toBe(0);
    const { status, body } = await post([tcp(80), tcp(81)]);
    expect(status).toBe(201);
    expect(JSON.parse(body)).toMatchObject([
      { id: 1, spec: { parentPort: 80 } },
      { id: 2, spec: { parentPort: 81 } },
    ]);
  });

  test.each([
    [tcp(666), "listen \\u003ctcp\\u003e: in use. To do: look \\u0026 see"],
    [{ ...tcp(80), proto: "" }, 'unknown proto: \\"\\"'],
    [{ ...tcp(80), parentIP: "zz" }, 'invalid ParentIP: \\"zz\\"'],
    [{ ...tcp(80), childIP: "zz" }, 'invalid ChildIP: \\"zz\\"'],
    [{ ...tcp(80), childPort: 0 }, "invalid ChildPort"],
    [{ ...tcp(70_000) }, "invalid ParentPort"],
    [{ ...tcp(80), childPort: "1" }, "json: cannot unmarshal string into Go struct field Spec.childPort of type int"],
  ])("%j is refused", async (spec, message) => {
    const { status, headers, body } = await post(spec);
    expect({ status, type: headers["content-type"] }).toEqual({ status: 400, type: "application/json" });
    expect(body).toMatch(/^\{"message":".*"\}\n$/);
    expect(body).toContain(`"${message}`);
  });

  test("that conflict are refused with the id", async () => {
    await post(tcp(80));
    expect(await post(tcp(80))).toMatchObject({ status: 400, body: '{"message":"conflict with ID 1"}\n' });
  });

  test("a defect is answered with 500 and logged with its stack", async () => {
    const logged = vi.spyOn(log, "error").mockImplementation(() => {});
    expect(await post(tcp(667))).toMatchObject({ status: 500, body: expect.stringContaining('{"message":"') });
    expect(logged).toHaveBeenCalledWith(expect.any(String), { error: expect.stringMatching(/a bug\n\s+at /) });
  });

  // As RootlessKit 1.1.0 answered.
  test.each([
    ["99", "unknown id: 99"],
    ["+7", "unknown id: 7"],
    ["-1", "unknown id: -1"],
    ["007", "unknown id: 7"],
    ["%31", "unknown id: 1"],
    ["1?x=1", "unknown id: 1"],
    ["2147483648", "unknown id: 2147483648"],
    ["abc", 'bad id abc: strconv.Atoi: parsing "abc": invalid syntax'],
    ["0x1", 'bad id 0x1: strconv.Atoi: parsing "0x1": invalid syntax'],
    ["1_0", 'bad id 1_0: strconv.Atoi: parsing "1_0": invalid syntax'],
    ["%20", 'bad id  : strconv.Atoi: parsing " ": invalid syntax'],
    ["a%0ab", 'bad id a\nb: strconv.Atoi: parsing "a\\nb": invalid syntax'],
    ["a%22b", 'bad id a"b: strconv.Atoi: parsing "a\\"b": invalid syntax'],
    ["%3Cx%3E", 'bad id <x>: strconv.Atoi: parsing "<x>": invalid syntax'],
    [
      "9223372036854775808",
      'bad id 9223372036854775808: strconv.Atoi: parsing "9223372036854775808": value out of range',
    ],
  ])("DELETE of %s is refused", async (id, message) => {
    const { status, body } = await ask("DELETE", `/v1/ports/${id}`);
    expect({ status, message: JSON.parse(body).message }).toEqual({ status: 400, message });
    expect(body).not.toMatch(/[<>]/);
  });
});

describe("without a port driver", () => {
  beforeEach(() => {
    api.ports = undefined;
  });

  test.each([
    ["GET", "/v1/ports"],
    ["POST", "/v1/ports"],
    ["DELETE", "/v1/ports/1"],
    ["DELETE", "/v1/ports/abc"],
  ])("%s %s says so", async (method, path) => {
    const message = '{"message":"no PortDriver is available"}\n';
    expect(await ask(method, path, method === "POST" ? "nonsense" : undefined)).toMatchObject({
      status: 400,
      body: message,
    });
  });

  test("docker-proxy goes its own way", async () => {
    expect(await ask("POST", "/v1/docker-proxy", "-host-port\n80")).toMatchObject({ status: 200, body: "plain\n" });
  });
});

describe("paths and methods", () => {
  test.each([
    "/",
    "/v1",
    "/v1/",
    "/v2/info",
    "/v1/INFO",
    "/v1/info/",
    "/v1/ports/",
    "/v1/ports/1/2",
    "/v1/ports/a%2Fb",
    "/metrics/",
  ])("%s is not found", async (path) => {
    expect(await ask("GET", path)).toMatchObject({
      status: 404,
      body: "404 page not found\n",
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  });

  test.each([
    ["HEAD", "/v1/info"],
    ["POST", "/v1/info"],
    ["OPTIONS", "/v1/info"],
    ["PUT", "/v1/ports"],
    ["DELETE", "/v1/ports"],
    ["GET", "/v1/ports/1"],
    ["PATCH", "/v1/ports/1"],
    ["POST", "/metrics"],
    ["GET", "/v1/docker-proxy"],
  ])("%s %s is not allowed", async (method, path) => {
    expect(await ask(method, path)).toMatchObject({ status: 405, body: "" });
  });

  test("a whole URL will do, and escapes", async () => {
    expect(await ask("GET", "http://rootlesskit/v1/info?x")).toMatchObject({ status: 200 });
    expect(await ask("GET", "/v1/%69nfo")).toMatchObject({ status: 200 });
    expect(await ask("GET", "/v1/%zz")).toMatchObject({ status: 400, body: "400 Bad Request" });
  });
});

test("/metrics are Prometheus' text", async () => {
  await post(tcp(80));
  const { status, headers, body } = await ask("GET", "/metrics");
  expect({ status, type: headers["content-type"] }).toEqual({
    status: 200,
    type: "text/plain; version=0.0.4; charset=utf-8",
  });
  expect(body).toMatch(/^rlkit_port_connections_total\{id="1",.*\} 2$/m);
});

describe("docker-proxy", () => {
  const argv = (hostIp: string, port: number, proto = "tcp") =>
    [
      "-proto",
      proto,
      "-host-ip",
      hostIp,
      "-host-port",
      String(port),
      "-container-ip",
      "172.17.0.2",
      "-container-port",
      "80",
    ].join("\n");

  test("is told where to listen; its port is published until it is removed", async () => {
    const agent = new Agent({ keepAlive: true });
    const { status, headers, body } = await ask("POST", "/v1/docker-proxy", argv("0.0.0.0", 8080), agent);
    expect({ status, type: headers["content-type"], body }).toEqual({
      status: 200,
      type: "text/plain; charset=utf-8",
      body: "forward 1 127.0.0.1\n",
    });
    expect([...open.values()]).toEqual([
      { proto: "tcp4", parentIP: "0.0.0.0", parentPort: 8080, childPort: 80, childIP: "172.17.0.2" },
    ]);
    expect(await ask("DELETE", "/v1/ports/1", undefined, agent)).toMatchObject({ status: 200 });
    const removals = vi.spyOn(api.ports as PortTable, "remove");
    agent.destroy();
    await ask("GET", "/v1/info");
    expect(removals).not.toHaveBeenCalled();
  });

  test("loses its ports with its connection, and only those", async () => {
    await post(tcp(80));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await ask("POST", "/v1/docker-proxy", argv("0.0.0.0", 8080), agent);
    await ask("POST", "/v1/docker-proxy", `${argv("::", 8080)}\n`, agent);
    expect(open.size).toBe(3);
    const other = new Agent({ keepAlive: true });
    await ask("POST", "/v1/docker-proxy", argv("0.0.0.0", 8081), other);
    agent.destroy();
    await vi.waitFor(() => expect([...open.values()]).toMatchObject([{ parentPort: 80 }, { parentPort: 8081 }]));
    other.destroy();
    await vi.waitFor(() => expect([...open.values()]).toMatchObject([{ parentPort: 80 }]));
  });

  test("that ends before its port is there leaves none", async () => {
    const table = api.ports as PortTable;
    const add = table.add.bind(table);
    const gone = new Promise<void>((resolve) => {
      mayConnect = (accepted) => {
        accepted.once("close", () => resolve());
        return true;
      };
    });
    vi.spyOn(table, "add").mockImplementation(async (spec) => {
      await gone;
      return add(spec);
    });
    const removed = vi.spyOn(table, "remove");
    const socket = connect(socketPath);
    const body = argv("0.0.0.0", 8080);
    socket.write(`POST /v1/docker-proxy HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await vi.waitFor(() => expect(table.add).toHaveBeenCalled());
    socket.destroy();
    await vi.waitFor(() => expect(removed).toHaveBeenCalled());
    await vi.waitFor(() => expect(open.size).toBe(0));
  });

  test("is to skip what the driver can't do", async () => {
    expect(await ask("POST", "/v1/docker-proxy", argv("0.0.0.0", 80, "sctp"))).toMatchObject({
      status: 200,
      body: "skip\n",
    });
    expect(open.size).toBe(0);
  });

  test.each([
    [argv("0.0.0.0", 666), /^listen <tcp>: in use/],
    ["-foo", /^docker-proxy: flag provided but not defined: -foo\n$/],
    ["", /^invalid ParentPort: -1/],
    [argv("zz", 80), /^invalid ParentIP: "zz"/],
  ])("errors are text alone: %j", async (body, message) => {
    const answer = await ask("POST", "/v1/docker-proxy", body);
    expect(answer).toMatchObject({ status: 400, headers: { "content-type": "text/plain; charset=utf-8" } });
    expect(answer.body).toMatch(message);
  });
});

describe("hostile clients", () => {
  test.each([
    ["nonsense\r\n\r\n", "400 Bad Request"],
    ["GET nopath HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"],
    ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 Bad Request"],
    ["POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", "400 Bad Request"],
    ["POST /v1/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"],
    ["GET /v1/info HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", "400 Bad Request"],
    [`GET /v1/info HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(20_000)}\r\n\r\n`, "431 Request Header Fields Too Large"],
    [`GET /v1/info HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(2_000_000)}\r\n\r\n`, "431 Request Header Fields Too Large"],
    [`GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, "431 Request Header Fields Too Large"],
  ])("%.60j is refused, and the connection closed", async (bytes, status) => {
    expect(await raw(Buffer.from(bytes, "latin1"))).toBe(refused(status));
    expect(await ask("GET", "/v1/info")).toMatchObject({ status: 200 });
  });

  test("a request without a host is refused", async () => {
    expect(await raw("GET /v1/info HTTP/1.1\r\n\r\n")).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(await raw("GET /v1/info HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1.1 200 OK\r\n/);
  });

  test("a body over 1 MiB is refused, whether its length is told or not, and the connection goes on", async () => {
    const message = '{"message":"http: request body too large"}\n';
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = Buffer.alloc(5 * 1024 * 1024, " ");
    expect(await ask("POST", "/v1/ports", body, agent)).toMatchObject({ status: 413, body: message });
    expect(await ask("POST", "/v1/ports", Buffer.alloc(1024 * 1024, " "), agent)).toMatchObject({
      status: 400,
      body: '{"message":"EOF"}\n',
    });
    agent.destroy();
    const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
    const head = "POST /v1/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await raw(`${head}${chunk.repeat(17)}`, message)).toMatch(/^HTTP\/1.1 413 /);
    expect(
      await raw(
        `POST /v1/docker-proxy HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n${"x".repeat(2_000_000)}`,
        "large\n",
      ),
    ).toMatch(/^HTTP\/1.1 413 [\s\S]*\r\n\r\nhttp: request body too large\n$/);
  });

  test("slow, silent and vanishing clients delay nobody", async () => {
    const slow = connect(socketPath);
    const body = JSON.stringify(tcp(80));
    let answer = "";
    slow.setEncoding("utf8").on("data", (chunk) => {
      answer += chunk;
    });
    const bytes = `POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const silent = connect(socketPath);
    for (const byte of bytes) {
      await new Promise((sent) => slow.write(byte, sent));
      const vanishing = connect(socketPath);
      vanishing.end("POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
      vanishing.on("error", () => {});
      vanishing.destroy();
    }
    await vi.waitFor(() => expect(answer).toMatch(/^HTTP\/1.1 201 Created\r\n/));
    expect(await ask("GET", "/v1/ports")).toMatchObject({ status: 200 });
    slow.destroy();
    silent.destroy();
  });

  test("requests one after the other in one write are answered in order", async () => {
    const one = "GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n";
    const two = "DELETE /v1/ports/abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const answer = await raw(one.repeat(100) + two);
    expect(answer.match(/HTTP\/1.1 200 OK\r\n/g)).toHaveLength(100);
    expect(answer).toMatch(/bad id abc[^\n]*\n$/);
  });

  test("others than the owner get nothing", async () => {
    mayConnect = () => false;
    expect(await raw("GET /v1/info HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("");
    mayConnect = () => true;
    expect(await ask("GET", "/v1/info")).toMatchObject({ status: 200 });
  });
});

test("200 clients at once: 100 ports with their ids, and 100 who lose against them", async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => post(tcp(1000 + (i % 100)))));
  const added = answers.filter(({ status }) => status === 201).map(({ body }) => JSON.parse(body).id);
  expect(added.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  const lost = answers.filter(({ status }) => status !== 201);
  expect(lost).toHaveLength(100);
  for (const answer of lost)
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/conflict with ID \d+"/) });
});

test("closing cuts connections, and removes nothing by itself", async () => {
  const agent = new Agent({ keepAlive: true });
  await ask("POST", "/v1/docker-proxy", "-host-ip=0.0.0.0\n-host-port=80", agent);
  const removed = vi.spyOn(api.ports as PortTable, "remove");
  const [idle] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  const half = connect(socketPath);
  half.on("error", () => {}).write("POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
  await ask("GET", "/v1/info");
  const cut = [idle, half].map((socket) => new Promise((closed) => socket?.once("close", closed)));
  server.close();
  await Promise.all(cut);
  expect(removed).not.toHaveBeenCalled();
  agent.destroy();
});

const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map(Buffer.from),
  fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
  fc
    .record(
      {
        proto: fc.oneof(fc.string(), fc.constantFrom("tcp", "udp6")),
        parentIP: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
        parentPort: fc.oneof(fc.integer(), fc.constantFrom(0, 80, 1.5)),
        childPort: fc.integer({ min: -1, max: 70_000 }),
        childIP: fc.oneof(fc.ipV4(), fc.ipV6(), fc.anything().map(String)),
      },
      { requiredKeys: [] },
    )
    .map((spec) => Buffer.from(JSON.stringify(spec))),
);

test("whatever a client posts, it gets a port or an error in JSON", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await fc.assert(
    fc.asyncProperty(body, async (bytes) => {
      const { status, body } = await ask("POST", "/v1/ports", bytes, agent);
      expect([201, 400]).toContain(status);
      const answer = JSON.parse(body);
      if (status === 400) expect(answer).toEqual({ message: expect.stringMatching(/./) });
    }),
    { numRuns: 500 },
  );
  agent.destroy();
});

test("whatever a client sends as a path, it gets an answer", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const path = fc.oneof(
    fc.webPath(),
    fc.webPath().map((rest) => `/v1/ports/${rest}`),
    fc.constantFrom("/v1/%", "//", "/%2e%2e/"),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("GET", "DELETE", "POST"), path, async (method, path) => {
      const { status } = await ask(method, path || "/", undefined, agent);
      expect([200, 201, 400, 404, 405]).toContain(status);
    }),
    { numRuns: 300 },
  );
  agent.destroy();
});
