import { join } from "node:path";
import type { Running } from "./run.ts";
import { until } from "./wait.ts";

/** The program of a peer; it needs Node and nothing else. */
export const PEER = join(import.meta.dirname, "..", "fixtures", "peer.mjs");

/** What a service of a peer does with a connection: fixtures/peer.mjs has them. */
type Service = "echo" | "speaker" | "counter" | "flood" | "deaf" | "resets" | "datagrams";

/** What a service has seen of one connection, or one datagram. */
interface Seen {
  readonly from: string;
  /** The address at which it came; undefined for a datagram. */
  readonly to?: string;
  readonly received: number;
  /** "end" when the client has ended its direction, "ECONNRESET" when it has reset it; undefined while neither. */
  readonly ended?: string;
}

/** A listener of a peer. */
interface Listener {
  readonly port: number;
  seen(): Promise<Seen[]>;
  /** Has a `deaf` service read, from now on. */
  hear(): Promise<void>;
  /** Closes it, with its connections. */
  shut(): Promise<void>;
}

interface Where {
  /** 127.0.0.1 unless told. */
  readonly host?: string;
  /** Any free one unless told. */
  readonly port?: number;
  /** What the service says first, to tell it from others. */
  readonly name?: string;
}

interface DatagramAnswer {
  readonly text: string;
  readonly address: string;
  readonly port: number;
}

/** A program in a network namespace of its own, which listens and connects as a test tells it. */
export interface Peer {
  listen(service: Service, where?: Where): Promise<Listener>;
  /** Says `text` to a TCP port and then nothing more; resolves to all that comes back. Rejects with an errno as its message. */
  exchange(host: string, port: number, text: string): Promise<string>;
  /** Sends a datagram; resolves to the first that comes back, and who sent that. Rejects when none does, by default in 3 s. */
  datagram(host: string, port: number, text: string, deadline?: number): Promise<DatagramAnswer>;
}

/** Talks to a peer that runs, or is about to. */
export function peer(run: Running): Peer {
  let asked = 0;
  async function ask<T>(op: string, request: object): Promise<T> {
    asked += 1;
    const begin = `{"id":${asked},`;
    run.write(`${JSON.stringify({ id: asked, op, ...request })}\n`);
    const answer = () => run.stdout.split("\n").find((line, i, { length }) => line.startsWith(begin) && i < length - 1);
    const what = `an answer to ${op} ${JSON.stringify(request)}`;
    const { result, error } = JSON.parse(await until(answer, { what, every: 2 }));
    if (error !== undefined) throw new Error(error);
    return result;
  }
  return {
    async listen(service, { host = "127.0.0.1", ...where } = {}) {
      const { listener, port } = await ask<{ listener: number; port: number }>("listen", { service, host, ...where });
      return {
        port,
        seen: () => ask("seen", { listener }),
        hear: () => ask("hear", { listener }),
        shut: () => ask("shut", { listener }),
      };
    },
    exchange: async (host, port, text) => (await ask<{ text: string }>("exchange", { host, port, text })).text,
    datagram: (host, port, text, deadline = 3000) => ask("datagram", { host, port, text, deadline }),
  };
}
