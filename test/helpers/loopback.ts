import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A web server on 127.0.0.1 of this machine. */
export interface LoopbackServer extends AsyncDisposable {
  readonly port: number;
}

/** Starts one that answers each request with the page, or as the listener does. */
export async function loopbackServer(page: string | RequestListener): Promise<LoopbackServer> {
  const listener: RequestListener = typeof page === "string" ? (_, response) => response.end(page) : page;
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
