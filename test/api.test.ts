import { once } from "node:events";
import { stat } from "node:fs/promises";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Instance, instance } from "./helpers/instance.ts";
import { start } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(socketPath: string, method: string, path: string, more: { agent?: Agent; body?: string } = {}) {
  const { agent, body } = more;
  const asked = request({ socketPath, method, path, host: "rootlesskit", ...(agent && { agent }) });
  asked.end(body);
  const [response] = await once(asked, "response");
  const answer: Answer = { status: response.statusCode, headers: response.headers, body: await text(response) };
  return answer;
}

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

const waits = "echo ready; read -r";

describe("GET /v1/info", () => {
  const addresses = { dns: ["10.0.2.3"], childIP: "10.0.2.100" };

  test.each([
    [["--net=host"], undefined],
    [["--net=none"], { driver: "none" }],
    [["--net=slirp4netns"], { driver: "slirp4netns", ...addresses }],
    [["--net=pasta"], { driver: "pasta", ...addresses }],
    [["--net=slirp4netns", "--cidr=10.9.0.0/16"], { driver: "slirp4netns", dns: ["10.9.0.3"], childIP: "10.9.0.100" }],
    [["--net=none", "--pidns"], { driver: "none" }],
  ])("with %j tells %j for the network", async (options, networkDriver) => {
    await using started = await instance(user, options, waits);
    const { status, headers, body } = await ask(join(started.stateDir, "api.sock"), "GET", "/v1/info");
    expect({ status, type: headers["content-type"] }).toEqual({ status: 200, type: "application/json" });
    expect(body).not.toMatch(/\n$/);
    expect(JSON.parse(body)).toEqual({
      apiVersion: "1.1.2",
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      stateDir: started.stateDir,
      childPID: started.childPid,
      ...(networkDriver && { networkDriver }),
    });
  });
});

describe("the API", () => {
  let started: Instance;
  let socket: string;

  beforeAll(async () => {
    started = await instance(user, ["--net=slirp4netns"], waits);
    socket = join(started.stateDir, "api.sock");
  });

  afterAll(() => started?.[Symbol.asyncDispose]());

  test("is the owner's alone", async () => {
    const { mode, uid } = await stat(socket);
    expect([mode & 0o777, uid]).toEqual([0o600, user.uid]);
    await using other = await testUser();
    await using curl = start(other, ["curl", "--silent", "--unix-socket", socket, "http://rootlesskit/v1/info"]);
    expect((await curl.result()).code).toBe(7);
  });

  test.each(["/", "/v1", "/v1/", "/v1/nothing", "/v2/info", "/v1/info/", "/v1/ports/", "/v1/ports/1/2"])(
    "says 404 for %s",
    async (path) => {
      const { status, headers, body } = await ask(socket, "GET", path);
      expect({ status, body }).toEqual({ status: 404, body: "404 page not found\n" });
      expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
    },
  );

  test.each([
    ["POST", "/v1/info"],
    ["HEAD", "/v1/info"],
    ["DELETE", "/v1/info"],
    ["PUT", "/v1/ports"],
    ["DELETE", "/v1/ports"],
    ["GET", "/v1/ports/1"],
    ["POST", "/v1/ports/1"],
  ])("says 405 to %s %s", async (method, path) => {
    expect(await ask(socket, method, path)).toMatchObject({ status: 405, body: "" });
  });

  test.each([
    ["GET", "/v1/ports", undefined],
    ["POST", "/v1/ports", JSON.stringify({ proto: "tcp", parentPort: 8080, childPort: 80 })],
    ["POST", "/v1/ports", "no json"],
    ["DELETE", "/v1/ports/1", undefined],
  ])("says to %s %s that there is no port driver", async (method, path, body) => {
    const answer = await ask(socket, method, path, body === undefined ? {} : { body });
    expect(answer).toMatchObject({ status: 400, body: '{"message":"no PortDriver is available"}\n' });
  });

  test("answers a hundred clients at once", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(socket, "GET", "/v1/info")));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test("goes on after a client that talks nonsense, and one that says nothing", async () => {
    const silent = connect(socket);
    const nonsense = connect(socket);
    const over = hungUp(nonsense);
    nonsense.end("nonsense\r\n\r\n");
    await over;
    expect(await ask(socket, "GET", "/v1/info")).toMatchObject({ status: 200 });
    silent.destroy();
  });

  test("keeps a connection that has been idle for 6 seconds", async () => {
    // The one pause of the suite: Node closes idle connections after 5 s unless told otherwise, and dockerd keeps one for ever
    // and does not retry. There is no fact to wait for when nothing is to happen, and no clock of another process to set.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports: unknown[] = [];
    agent.on("free", (used) => ports.push(used));
    await ask(socket, "GET", "/v1/info", { agent });
    const [connection] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
    await pause(6000);
    expect(connection?.destroyed).toBe(false);
    expect(await ask(socket, "GET", "/v1/info", { agent })).toMatchObject({ status: 200 });
    expect(new Set(ports).size).toBe(1);
    agent.destroy();
  }, 15_000);

  test("is understood by RootlessKit's own rootlessctl", async () => {
    await using control = start(user, ["rootlessctl", "--socket", socket, "info"]);
    const { code, stdout, stderr } = await control.result();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("- REST API version: 1.1.2\n");
    expect(stdout).toContain(`- State Directory: ${started.stateDir}\n- Child PID: ${started.childPid}\n`);
    expect(stdout).toContain("- Network Driver: slirp4netns\n  - DNS: [10.0.2.3]\n  - IP: 10.0.2.100\n");
    await using list = start(user, ["rootlessctl", "--socket", socket, "list-ports"]);
    expect(await list.result()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no PortDriver is available"),
    });
  });
});

test("a client that comes while the command is being started is answered: it waits until the API is there", async () => {
  const script =
    "curl --silent --max-time 5 --unix-socket $ROOTLESSKIT_STATE_DIR/api.sock http://rootlesskit/v1/info; echo; echo ready; read -r";
  await using started = await instance(user, ["--net=none"], script);
  const [info = ""] = started.run.stdout.split("\n");
  expect(JSON.parse(info)).toMatchObject({ childPID: started.childPid, stateDir: started.stateDir });
});

test("an open connection does not keep rlkit from ending", async () => {
  await using started = await instance(user, ["--net=none"], waits);
  const connection = connect(join(started.stateDir, "api.sock"));
  await once(connection, "connect");
  const over = hungUp(connection);
  started.run.write("\n");
  expect(await started.run.result(2000)).toMatchObject({ code: 0 });
  await over;
});

/** Resolves when the other side has ended a connection, in one way or the other. */
function hungUp(socket: Socket): Promise<unknown> {
  socket.on("error", () => {}); // ECONNRESET is one of the ways
  socket.resume();
  return new Promise((resolve) => socket.once("close", resolve));
}
