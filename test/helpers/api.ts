import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { User } from "./user.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The API of one instance, as somebody on this machine sees it. */
export interface ApiOf {
  /** The API answers its owner only, not root. */
  readonly user: User;
  readonly socket: string;
}

/** Connects to a Unix socket with the user's uid; this process is root. */
export function connectAs({ user, socket }: ApiOf): Socket {
  process.seteuid?.(user.uid);
  try {
    return connect(socket); // connect(2) is called at once
  } finally {
    process.seteuid?.(0);
  }
}

/** One connection that is kept, and used by one request after the other. */
export function keptConnection(api: ApiOf): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = () => connectAs(api);
  return agent;
}

/** Sends one request as the user, over a connection of its own unless there is an agent. */
export async function ask(
  api: ApiOf,
  method: string,
  path: string,
  { agent, body }: { agent?: Agent; body?: string | Uint8Array } = {},
): Promise<Answer> {
  const how = agent === undefined ? { createConnection: () => connectAs(api) } : { agent };
  const asked = request({ method, path, host: "rootlesskit", ...how });
  asked.end(body);
  const [response] = await once(asked, "response");
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

/** The same for JSON: the status, and what came. */
export async function askJson<T>(api: ApiOf, method: string, path: string, body?: unknown): Promise<[number, T]> {
  const answer = await ask(api, method, path, body === undefined ? {} : { body: JSON.stringify(body) });
  return [answer.status, (answer.body === "" ? undefined : JSON.parse(answer.body)) as T];
}
