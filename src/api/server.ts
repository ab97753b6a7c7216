import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Info } from "./info.ts";

/** An error as RootlessKit's clients read it: they show `message`. */
function fail(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(`${JSON.stringify({ message })}\n`);
}

function notFound(response: ServerResponse): void {
  response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" }).end("404 page not found\n");
}

/** The routes of RootlessKit's REST API; without a port driver, those for ports answer as RootlessKit does. */
function routes(info: Info): RequestListener {
  return (request, response) => {
    request.resume();
    const path = (request.url ?? "").split("?")[0] ?? "";
    const methods = path === "/v1/info" ? ["GET"] : path === "/v1/ports" ? ["GET", "POST"] : ["DELETE"];
    if (path !== "/v1/info" && path !== "/v1/ports" && !/^\/v1\/ports\/[^/]+$/.test(path)) notFound(response);
    else if (!methods.includes(request.method ?? "")) response.writeHead(405).end();
    else if (path === "/v1/info")
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(info));
    else fail(response, 400, "no PortDriver is available");
  };
}

/** Serves the API on a socket that listens already. dockerd keeps one connection for ever and doesn't retry: no time-outs. */
export function serveApi(fd: number, info: Info): Server {
  const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }, routes(info));
  return server.listen({ fd });
}
