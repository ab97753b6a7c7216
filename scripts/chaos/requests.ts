import { once } from "node:events";
import { join } from "node:path";
import { type ApiOf, ask, askJson, connectAs } from "../../test/helpers/api.ts";
import { start } from "../../test/helpers/run.ts";
import { within } from "../../test/helpers/wait.ts";
import type { Fault } from "./plan.ts";

interface Port {
  readonly id: number;
  readonly spec: { readonly parentPort: number; readonly childPort: number };
}

/** Nothing listens there inside: the ports of these clients are told from dockerd's by it. */
const CHILD_PORT = 4711;
const PATIENCE = 20_000;

const GARBAGE = [
  "\r\n\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // a TLS client
  "GET / HTTP/9.9\r\n\r\n",
  "POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{",
  "POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{]}[\0",
  "POST /v1/ports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  `POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\n{"proto":"tcp","parentPort":-1e99}\n`,
  "POST /v1/docker-proxy HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n\n\n\n\n\n\n",
  "DELETE /v1/ports/99999999999999999999 HTTP/1.1\r\nHost: x\r\n\r\n",
  "DELETE /v1/ports/%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
  'POST /v1/rlkit/restart HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{"exec": 4711}',
  `GET /${"a".repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
];

const READ = ["/v1/info", "/v1/ports", "/v1/ports?counters", "/metrics", "/v1/rlkit/status"];

/** What the clients of the API have done, to be compared with what it says at the end. */
export class Clients {
  /** Ports that were published for them, and not removed. */
  readonly published = new Map<number, number>();
  readonly #api: ApiOf;
  readonly #tree: string;

  constructor(api: ApiOf, tree: string) {
    this.#api = api;
    this.#tree = tree;
  }

  /** Sends one request, and tells what came of it. */
  async request({ what, chance }: Extract<Fault, { do: "request" }>): Promise<string> {
    const act = {
      add: () => this.#add(),
      remove: () => this.#remove(chance),
      read: () => this.#read(chance),
      garbage: () => this.#garbage(chance),
    }[what];
    try {
      return await within(PATIENCE, () => `an answer of the API to ${what}`, act());
    } catch (error) {
      return `${what}: ${(error as Error).message}`;
    }
  }

  /** The ids of these clients' ports, as the API lists them. */
  async listed(): Promise<number[]> {
    const [, ports] = await askJson<Port[] | null>(this.#api, "GET", "/v1/ports");
    return (ports ?? []).filter(({ spec }) => spec.childPort === CHILD_PORT).map(({ id }) => id);
  }

  /**
   * By the user's own program: what this one, which is root, asks for counts as the target's, since the supervisor may not look
   * whether root is inside.
   */
  async #add(): Promise<string> {
    const words = ["ports", "add", "--json", `127.0.0.1:0:${CHILD_PORT}/tcp`];
    await using command = start(this.#api.user, [join(this.#tree, "bin", "rlkit"), ...words]);
    const { code, stdout, stderr } = await command.result(PATIENCE);
    if (code !== 0) return `a port was not published: ${stderr.trim()}`;
    const [port] = JSON.parse(stdout) as Port[];
    if (port === undefined) return "no port was published";
    this.published.set(port.id, port.spec.parentPort);
    return `published port ${port.spec.parentPort} (id ${port.id})`;
  }

  async #remove(chance: number): Promise<string> {
    const id = [...this.published.keys()][Math.floor(chance * this.published.size)];
    if (id === undefined) return "no port to remove";
    const { status, body } = await ask(this.#api, "DELETE", `/v1/ports/${id}`);
    if (status !== 200) return `port ${id} was not removed: ${status} ${body.trim()}`;
    this.published.delete(id);
    return `removed port ${id}`;
  }

  async #read(chance: number): Promise<string> {
    const path = READ[Math.floor(chance * READ.length)] ?? "/";
    const { status } = await ask(this.#api, "GET", path);
    return `GET ${path}: ${status}`;
  }

  /** Whatever comes back, or nothing within a moment: then the client goes. */
  async #garbage(chance: number): Promise<string> {
    const index = Math.floor(chance * GARBAGE.length);
    const socket = connectAs(this.#api);
    socket.on("error", () => {}); // refused, reset: as it likes
    await once(socket, "connect");
    socket.write(GARBAGE[index] ?? "", "latin1");
    const answer = await within(500, () => "an answer", once(socket, "data")).catch(() => undefined);
    socket.destroy();
    const line = answer?.[0].toString("latin1").split("\r\n", 1)[0];
    return `garbage ${index}: ${line ?? "no answer"}`;
  }
}
