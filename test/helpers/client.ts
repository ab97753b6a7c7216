import { createHash, randomBytes } from "node:crypto";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { until, within } from "./wait.ts";

/** Whether this host has IPv6's loopback address: some containers don't. */
export const HAS_IPV6 = networkInterfaces().lo?.some(({ address }) => address === "::1") ?? false;

/** Where a client connects. */
interface Destination {
  readonly port: number;
  /** 127.0.0.1 unless told. */
  readonly host?: string;
}

/** A TCP connection of the test itself, on the host; each direction ends by itself. */
export interface Connection extends Disposable {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** Ends its own direction. */
  end(bytes?: string): void;
  /** The next `size` bytes. */
  read(size: number): Promise<Buffer>;
  /** Everything until the other side ends its direction. */
  rest(): Promise<Buffer>;
  /** How the other side ended it: "end", or an errno. Throws away what comes before. */
  ended(deadline?: number): Promise<string>;
}

/** Connects; rejects with the error that connect(2) gave. */
export async function dial({ port, host = "127.0.0.1" }: Destination): Promise<Connection> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  await within(10_000, () => `a connection to ${host} port ${port}`, once(socket, "connect"));
  let error: NodeJS.ErrnoException | undefined;
  let wake = () => {};
  socket.on("error", (cause) => {
    error = cause;
  });
  for (const event of ["end", "close"]) socket.on(event, () => wake());
  let taken: Buffer = Buffer.alloc(0);
  const take = async (size: number): Promise<Buffer> => {
    const parts: Buffer[] = [taken];
    let length = taken.length;
    while (length < size) {
      const part: Buffer | null = socket.read();
      if (part !== null) {
        parts.push(part);
        length += part.length;
        continue;
      }
      if (error !== undefined || socket.destroyed || socket.readableEnded) {
        throw new Error("the connection is over", { cause: error });
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        socket.once("readable", resolve);
      });
    }
    const all = Buffer.concat(parts);
    taken = all.subarray(size);
    return all.subarray(0, size);
  };
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    end: (bytes = "") => void socket.end(bytes),
    read: (size) => within(10_000, () => `${size} bytes from ${host} port ${port}`, take(size)),
    async rest() {
      const chunks: Buffer[] = [taken];
      socket.on("data", (chunk) => chunks.push(chunk));
      if (!socket.readableEnded)
        await within(10_000, () => `the end of what ${host} port ${port} says`, once(socket, "end"));
      return Buffer.concat(chunks);
    },
    async ended(deadline = 2000) {
      socket.resume();
      const over = () => error?.code ?? (socket.readableEnded || socket.destroyed ? "end" : undefined);
      return await until(over, { deadline, every: 5, what: `the end of a connection to ${host} port ${port}` });
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** So many connections, made side by side, some hundred at a time. */
export async function dialMany(count: number, to: Destination): Promise<Disposable & { all: Connection[] }> {
  const all: Connection[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(200, count - all.length) }, () => dial(to));
    all.push(...(await Promise.all(some)));
  }
  return {
    all,
    [Symbol.dispose]() {
      for (const { socket } of all) socket.destroy();
    },
  };
}

/** Says `text` to a TCP port, then ends its direction; resolves to all that comes back. */
export async function exchange(to: Destination, text: string): Promise<string> {
  using connection = await dial(to);
  connection.end(text);
  return (await connection.rest()).toString();
}

/** Says `text` on an open connection to a service that echoes, and waits until it is back. */
export async function roundTrip(connection: Connection, text: string): Promise<void> {
  connection.send(text);
  const back = (await connection.read(Buffer.byteLength(text))).toString();
  if (back !== text) throw new Error(`${JSON.stringify(back)} came back for ${JSON.stringify(text)}`);
}

/** Waits until what was written has left; also when nothing will any more. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

const NOISE = randomBytes(4 * 1024 * 1024);

/**
 * Sends noise to a service that echoes, while what comes back is read; resolves to the digests of both. `chunk` is how much is
 * written at once.
 */
export async function transfer(
  to: Destination,
  bytes: number,
  chunk = 250_007,
): Promise<{ sent: string; received: string }> {
  using connection = await dial(to);
  const { socket } = connection;
  const [sent, received] = [createHash("sha1"), createHash("sha1")];
  socket.on("data", (part) => received.update(part));
  const over = once(socket, "end");
  over.catch(() => {}); // it is awaited below, but may fail before
  for (let at = 0; at < bytes; at += chunk) {
    // Each part begins elsewhere in the noise: one that is lost, doubled or moved shows.
    const from = (at * 31) % (NOISE.length - chunk);
    const part = NOISE.subarray(from, from + Math.min(chunk, bytes - at));
    sent.update(part);
    if (!socket.write(part)) await drained(socket);
    if (socket.destroyed) break;
  }
  socket.end();
  await within(20_000, () => `the end of an echo of ${bytes} bytes`, over);
  return { sent: sent.digest("hex"), received: received.digest("hex") };
}

/** A UDP client of the test itself, on the host: it gets what comes from where it sends to, and nothing else. */
export interface DatagramClient extends Disposable {
  readonly socket: DatagramSocket;
  /** Sends; resolves to the next datagram that comes. Rejects with ECONNREFUSED when nobody has the port. */
  ask(bytes: string | Buffer): Promise<Buffer>;
}

export async function datagramClient({ port, host = "127.0.0.1" }: Destination): Promise<DatagramClient> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.connect(port, host);
  await once(socket, "connect");
  return {
    socket,
    async ask(bytes) {
      const answer = once(socket, "message");
      socket.send(bytes);
      const [message] = await within(3000, () => `a datagram from ${host} port ${port}`, answer);
      return message;
    },
    [Symbol.dispose]: () => void socket.close(),
  };
}

/** Asks a UDP port once. */
export async function ask(to: Destination, text: string): Promise<string> {
  using client = await datagramClient(to);
  return (await client.ask(text)).toString();
}

/** Holds a TCP port of the host in the test's own process. */
export async function held(port = 0, host?: string): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => void socket.destroy()).listen({ port, host, exclusive: true });
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** The same for a UDP port. */
export async function heldDatagrams(port = 0, host?: string): Promise<AsyncDisposable & { port: number }> {
  const socket = createSocket("udp4");
  socket.bind({ port, ...(host !== undefined && { address: host }), exclusive: true });
  await once(socket, "listening");
  return {
    port: socket.address().port,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

/**
 * A port of the host that was free a moment ago, or the first of so many in a row: for TCP, UDP and both IP versions. It is none of
 * those that the kernel gives to clients, which come and go, and keep theirs for a minute.
 */
export function freePort(count = 1): Promise<number> {
  return until(async () => {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    for (let port = first; port < first + count; port += 1) {
      for (const hold of [held, heldDatagrams]) await (await hold(port))[Symbol.asyncDispose]();
    }
    return first;
  });
}
