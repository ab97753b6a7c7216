import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { isErrno } from "../errors.ts";
import { log } from "../log.ts";
import type { PortOwner } from "../ports/driver.ts";
import { Leases } from "./leases.ts";
import { type Answer, type Api, badRequest, errorAnswer, failure, notFound, routes, wrongMethod } from "./routes.ts";

/** Bytes of a request's body: room for 10,000 ports. */
const MAX_BODY = 1024 * 1024;

/** Milliseconds for which a connection that is being refused may still write; Go's server has the same. */
const LINGER = 500;

/** The API while it is served. */
export interface ApiServer {
  /** Stops at once; connections are cut, and what was leased to them is left alone. */
  close(): void;
}

/**
 * Serves the API on a socket that listens already (or on one made at a path). dockerd keeps one connection for ever and does not
 * retry: there are no time-outs. `mayConnect` decides about each connection before anything is read from it; `answered` is told
 * of each request that has been; `isInside` says whether a connection is the target's.
 */
export function serveApi(
  where: { fd: number } | { path: string },
  api: Api,
  mayConnect: (socket: Socket) => boolean = () => true,
  answered: () => void = () => {},
  isInside: (socket: Socket) => boolean = () => false,
): ApiServer {
  const inside = new WeakSet<Socket>();
  const leases = new Leases((id) => {
    log.debug(`port ${id}: the docker-proxy that it was published for has ended without giving it back`);
    void api.ports?.abandon(id);
  });
  const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
  server.on("request", async (request, response) => {
    request.on("error", () => {}); // a client that went away in the middle of its request
    const answer = await respond(request, api, leases, inside.has(request.socket) ? "target" : "user").catch(failure);
    if (answer !== undefined) send(response, answer);
    answered();
  });
  server.on("connection", (socket) => {
    if (!mayConnect(socket)) socket.destroy();
    else if (isInside(socket)) inside.add(socket);
  });
  server.on("clientError", refuseNonsense);
  server.listen(where);
  return {
    close() {
      leases.forgetAll();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The answer to one request; undefined when its client has gone. */
async function respond(
  request: IncomingMessage,
  api: Api,
  leases: Leases,
  owner: PortOwner,
): Promise<Answer | undefined> {
  const { pathname, query } = target(request.url ?? "");
  if (pathname === undefined) return badRequest;
  const route = routes.find(({ path }) => path.test(pathname));
  if (route === undefined) return notFound;
  const handler = Object.hasOwn(route.methods, request.method ?? "") ? route.methods[request.method ?? ""] : undefined;
  if (handler === undefined) return wrongMethod;
  const body = await readBody(request);
  if (body === "gone") return undefined;
  if (body === "too large") return errorAnswer(413, "http: request body too large", route);
  const id = route.path.exec(pathname)?.[1] ?? "";
  try {
    return await handler(api, leases, { query, id, body, connection: request.socket, owner });
  } catch (error) {
    return failure(error, route);
  }
}

/** A request's path, decoded, and its query. No path where the URL is none. */
function target(url: string): { pathname?: string; query: URLSearchParams } {
  // A proxy's clients send the whole URL.
  const [path = "", ...query] = url.replace(/^https?:\/\/[^/]*/i, "").split("?");
  try {
    return { pathname: decodeURIComponent(path), query: new URLSearchParams(query.join("?")) };
  } catch {
    return { query: new URLSearchParams() };
  }
}

/** All of a body. What is over the limit is read and dropped: a client that still writes would not read the answer. */
function readBody(request: IncomingMessage): Promise<Buffer | "too large" | "gone"> {
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
      else {
        chunks = [];
        resolve("too large");
      }
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("close", () => resolve("gone"));
  });
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.statusCode = status;
  if (type !== undefined) response.setHeader("Content-Type", type);
  response.end(body);
}

/** What Go's server says to a request that is not HTTP. */
function refuseNonsense(error: Error, socket: Duplex): void {
  if (isErrno(error, "ECONNRESET") || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = isErrno(error, "HPE_HEADER_OVERFLOW") ? "431 Request Header Fields Too Large" : "400 Bad Request";
  const head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${status}`);
  // For a moment, what still comes is read and dropped: a client whose writing fails would not read the answer.
  socket.removeAllListeners("data");
  socket.on("data", () => {});
  setTimeout(() => socket.destroy(), LINGER).unref();
}
