import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { Agent, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { childPid, type Instance, instance } from "./helpers/instance.ts";
import { testUser, type User } from "./helpers/user.ts";

/** Milliseconds after which Node's own server, left alone, ends a connection on which nothing happens. */
const NODE_IDLE_LIMIT = 5000;

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

interface Answer {
  status: number | undefined;
  type: string | undefined;
  body: string;
}

/** A request as RootlessKit's Go client makes it. */
async function ask({ stateDir }: Instance, method: string, path: string, agent?: Agent): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { socketPath: join(stateDir, "api.sock"), method, path, headers: { host: "rootlesskit" } };
    request({ ...options, ...(agent && { agent }) }, resolve)
      .on("error", reject)
      .end();
  });
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  return { status: response.statusCode, type: response.headers["content-type"], body };
}

const WAITS = "echo ready; read -r";

test.each([
  ["host", undefined],
  ["none", { driver: "none" }],
  ["slirp4netns", { driver: "slirp4netns", dns: ["10.0.2.3"], childIP: "10.0.2.100" }],
  ["pasta", { driver: "pasta", dns: ["10.0.2.3"], childIP: "10.0.2.100" }],
])("GET /v1/info with --net=%s says what RootlessKit's clients decode", async (net, networkDriver) => {
  await using started = await instance(user, [`--net=${net}`], WAITS);
  const { status, type, body } = await ask(started, "GET", "/v1/info");
  expect({ status, type }).toEqual({ status: 200, type: "application/json" });
  expect(JSON.parse(body)).toEqual({
    apiVersion: "1.1.2",
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    stateDir: started.stateDir,
    childPID: await childPid(started.stateDir),
    ...(networkDriver && { networkDriver }),
  });
});

describe("the API of a running instance", () => {
  let started: Instance;

  beforeAll(async () => {
    started = await instance(user, ["--net=none"], WAITS);
  });

  afterAll(() => started?.[Symbol.asyncDispose]());

  test.each(["/", "/v1", "/v1/infos", "/v1/ports/"])("answers 404 for %s, as Go's router does", async (path) => {
    expect(await ask(started, "GET", path)).toMatchObject({ status: 404, body: "404 page not found\n" });
  });

  test.each([
    ["POST", "/v1/info"],
    ["HEAD", "/v1/info"],
    ["PUT", "/v1/ports"],
    ["GET", "/v1/ports/1"],
  ])("answers 405 with nothing in it for %s %s", async (method, path) => {
    expect(await ask(started, method, path)).toMatchObject({ status: 405, body: "" });
  });

  test.each([
    ["GET", "/v1/ports"],
    ["POST", "/v1/ports"],
    ["DELETE", "/v1/ports/1"],
  ])("says that there is no port driver to %s %s", async (method, path) => {
    const { status, body } = await ask(started, method, path);
    expect(status).toBe(400);
    expect(JSON.parse(body)).toEqual({ message: "no PortDriver is available" });
  });

  test("keeps a connection on which nothing happens, since Go's client does not repeat a POST", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    agent.on("free", (socket) => sockets.add(socket));
    await ask(started, "GET", "/v1/info", agent);
    // The one thing to wait for is that nothing happens: longer than Node's server would have kept it.
    await setTimeout(NODE_IDLE_LIMIT + 1000);
    expect(await ask(started, "GET", "/v1/info", agent)).toMatchObject({ status: 200 });
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  test("is open to its owner alone", async () => {
    const { uid, mode } = await stat(join(started.stateDir, "api.sock"));
    expect({ uid, mode: mode & 0o777 }).toEqual({ uid: user.uid, mode: 0o600 });
    expect((await stat(started.stateDir)).mode & 0o777).toBe(0o700);
  });

  test("is understood by RootlessKit's own rootlessctl", async () => {
    const options = { uid: user.uid, gid: user.gid };
    const socket = join(started.stateDir, "api.sock");
    const { stdout } = await promisify(execFile)("rootlessctl", ["--socket", socket, "info"], options);
    expect(stdout).toContain("- REST API version: 1.1.2\n");
    expect(stdout).toContain(`- State Directory: ${started.stateDir}\n`);
    expect(stdout).toContain("- Network Driver: none\n");
  });
});
