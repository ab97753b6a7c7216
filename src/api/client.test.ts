import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openApi } from "./client.ts";

let directory: string;
let server: Server | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rlkit-client-"));
});

afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

/** Serves on the api.sock of a state directory. */
async function serve(stateDir: string, listener: RequestListener): Promise<void> {
  const listening = createServer(listener);
  server = listening;
  // A path that is too long for a socket is bound by a shorter way.
  const before = process.cwd();
  process.chdir(stateDir);
  await new Promise<void>((done) => listening.listen("api.sock", done));
  process.chdir(before);
}

test("a request has its body, and an answer its JSON", async () => {
  await serve(directory, async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    response.end(JSON.stringify({ method: request.method, url: request.url, body }));
  });
  expect(await openApi({ stateDir: directory }).ask("POST", "/v1/ports", [{ proto: "tcp" }])).toEqual({
    method: "POST",
    url: "/v1/ports",
    body: '[{"proto":"tcp"}]',
  });
  expect(await openApi({ stateDir: directory }).ask("GET", "/x?y")).toEqual({ method: "GET", url: "/x?y", body: "" });
});

test("a state directory may have a longer path than a socket", async () => {
  const deep = join(directory, "d".repeat(120), "é".repeat(60));
  mkdirSync(deep, { recursive: true });
  await serve(deep, (_, response) => response.end());
  expect(await openApi({ stateDir: deep }).ask("DELETE", "/")).toBeUndefined();
});

describe("errors", () => {
  test.each([
    [400, '{"message":"conflict with ID 1"}\n', "conflict with ID 1"],
    [500, "nonsense", 'unexpected HTTP status 500: "nonsense"'],
    [404, "404 page not found\n", "unexpected HTTP status 404"],
  ])("of the API are told: %d %j", async (status, body, message) => {
    await serve(directory, (_, response) => response.writeHead(status).end(body));
    await expect(openApi({ stateDir: directory }).ask("GET", "/")).rejects.toMatchObject({
      code: "PORT",
      message: expect.stringContaining(message),
    });
  });

  test("where nothing runs", async () => {
    await expect(openApi({ stateDir: directory }).ask("GET", "/")).rejects.toMatchObject({
      code: "INSTANCE",
      message: `nothing runs with the state directory ${directory}`,
    });
    const long = join(directory, "d".repeat(120));
    await expect(openApi({ stateDir: long }).ask("GET", "/")).rejects.toThrow(
      `nothing runs with the state directory ${long}`,
    );
  });

  test("of an instance that ends before it has answered", async () => {
    await serve(directory, (request) => request.socket.destroy());
    await expect(openApi({ stateDir: directory }).ask("GET", "/")).rejects.toThrow(
      `nothing runs with the state directory ${directory}`,
    );
  });
});
