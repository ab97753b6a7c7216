import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface FileServerOptions {
  /** After so many bytes of a body the connection is cut. */
  cutAfter?: number;
  /** It is left open, and nothing more comes. */
  hold?: boolean;
  /** After so many cut connections nothing comes at all. */
  failAfter?: number;
  /** Parts of a file are sent when they are asked for. */
  ranges?: boolean;
}

/** A web server on loopback. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** By path: `/docker-1.0.tgz`. */
  readonly files: Map<string, Buffer>;
  readonly options: FileServerOptions;
  /** The requests so far: method, path and range. */
  readonly requests: string[];
}

/** Serves files, and fails as networks do. */
export async function fileServer(options: FileServerOptions = {}): Promise<FileServer> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  let cuts = 0;
  const server = createServer((request, response) => {
    requests.push([request.method, request.url, request.headers.range].filter(Boolean).join(" "));
    if (cuts >= (options.failAfter ?? Number.POSITIVE_INFINITY)) {
      response.destroy();
      return;
    }
    if (answer(request, response, files.get(request.url ?? ""), options) === "cut") cuts += 1;
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    options,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function answer(
  { headers }: IncomingMessage,
  response: ServerResponse,
  file: Buffer | undefined,
  { cutAfter = Number.POSITIVE_INFINITY, hold = false, ranges = true }: FileServerOptions,
): "cut" | "whole" {
  if (file === undefined) {
    response.writeHead(404).end();
    return "whole";
  }
  const etag = `"${createHash("sha1").update(file).digest("hex")}"`;
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  const isPart = ranges && from > 0 && headers["if-range"] === etag;
  const body = isPart ? file.subarray(from) : file;
  response.writeHead(isPart ? 206 : 200, {
    etag,
    "content-length": body.length,
    ...(isPart && { "content-range": `bytes ${from}-${file.length - 1}/${file.length}` }),
  });
  if (body.length <= cutAfter) {
    response.end(body);
    return "whole";
  }
  response.write(body.subarray(0, cutAfter), () => hold || response.destroy());
  return "cut";
}
