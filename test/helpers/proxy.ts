import { request as ask, createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A proxy on loopback, as curl(1) and others use it. */
interface Proxy extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string;
  /** The requests so far: `GET http://…` and `CONNECT host:port`. */
  readonly requests: string[];
}

/** Passes requests on. With `password`, those without it are refused (status 407). */
export async function proxyServer({ password }: { password?: string } = {}): Promise<Proxy> {
  const requests: string[] = [];
  const allows = ({ headers }: IncomingMessage): boolean =>
    password === undefined ||
    headers["proxy-authorization"] === `Basic ${Buffer.from(`me:${password}`).toString("base64")}`;

  const server = createServer((request, response: ServerResponse) => {
    requests.push(`${request.method} ${request.url}`);
    if (!allows(request)) {
      response.writeHead(407).end();
      return;
    }
    const onward = ask(request.url ?? "", { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response).on("error", () => {});
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    onward.end();
  });
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    requests.push(`CONNECT ${request.url}`);
    client.on("error", () => client.destroy());
    if (!allows(request)) {
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const [host = "", port] = (request.url ?? "").split(":");
    const onward = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(onward).pipe(client);
    });
    onward.on("error", () => client.destroy());
    client.on("close", () => onward.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
