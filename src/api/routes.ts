import type { Socket } from "node:net";
import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import type { PortCounters, PortOwner, PortStatus } from "../ports/driver.ts";
import type { UncheckedSpec } from "../ports/spec.ts";
import type { Supervision } from "../supervisor/status.ts";
import { decodeSpecs } from "./decode.ts";
import { decideDockerProxy, parseDockerProxy } from "./docker-proxy.ts";
import { goJson, goQuote } from "./go-text.ts";
import type { Info } from "./info.ts";
import type { Leases } from "./leases.ts";
import { type Metrics, renderMetrics } from "./metrics.ts";
import { supervisionRoutes } from "./supervision.ts";

/** The published ports, as far as the API needs them (src/ports/table.ts). All of them throw RlkitErrors. */
interface PublishedPorts {
  /** Checks a spec and publishes it. */
  add(spec: UncheckedSpec, options: { owner: PortOwner }): Promise<PortStatus>;
  /** The same for a set: all or none. */
  addAll(specs: readonly UncheckedSpec[], options: { owner: PortOwner }): Promise<readonly PortStatus[]>;
  remove(id: number): Promise<void>;
  /** Whoever held it has gone without a word; does not throw. */
  abandon(id: number): Promise<void>;
  list(): readonly PortStatus[];
  /** Undefined where the driver has none. */
  counters(): Promise<ReadonlyMap<number, PortCounters>> | undefined;
}

/** What the API tells of a run, and does to it. */
export interface Api {
  info(): Info;
  /** Undefined where the port driver publishes nothing on demand. */
  ports: PublishedPorts | undefined;
  metrics(): Promise<Metrics>;
  /** Undefined where nobody supervises: in tests. */
  supervision?: Supervision | undefined;
}

interface Request {
  query: URLSearchParams;
  /** The last part of the path of one port. */
  id: string;
  body: Buffer;
  connection: Socket;
  /** Whose the ports are that it publishes. */
  owner: PortOwner;
}

export interface Answer {
  status: number;
  /** Content-Type; none where there is no body. */
  type?: string;
  body: string;
}

type Handler = (api: Api, leases: Leases, request: Request) => Answer | Promise<Answer>;

/** A path of the API: what each method does. */
export interface Route {
  path: RegExp;
  methods: Readonly<Record<string, Handler>>;
  /** Errors are text alone: the client is a C program that shows them. */
  plainErrors?: true;
}

const TEXT = "text/plain; charset=utf-8";

const json = (status: number, value: unknown): Answer => ({ status, type: "application/json", body: goJson(value) });

/** A port as Go's struct would be written: the fields in its order, and empty ones left out. */
function encodeStatus({ id, spec }: PortStatus, counters?: PortCounters): object {
  const { proto, parentIP, parentPort, childPort, childIP } = spec;
  const fields = { proto, parentIP, parentPort, childPort, childIP };
  const filled = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return { id, spec: Object.fromEntries(filled), ...(counters && { counters }) };
}

function published({ ports }: Api): PublishedPorts {
  if (ports === undefined) throw new RlkitError("PORT", "no PortDriver is available");
  return ports;
}

async function list(api: Api, { query }: Request): Promise<Answer> {
  const ports = published(api);
  const counters = query.has("counters") ? await ports.counters() : undefined;
  return json(
    200,
    ports.list().map((status) => encodeStatus(status, counters?.get(status.id))),
  );
}

async function add(api: Api, { body, owner }: Request): Promise<Answer> {
  const ports = published(api);
  const specs = decodeSpecs(body);
  if (!Array.isArray(specs)) return json(201, encodeStatus(await ports.add(specs, { owner })));
  const added = await ports.addAll(specs, { owner });
  return json(
    201,
    added.map((status) => encodeStatus(status)),
  );
}

async function remove(api: Api, leases: Leases, { id: text }: Request): Promise<Answer> {
  const ports = published(api);
  const id = /^[-+]?\d+$/.test(text) ? BigInt(text) : undefined;
  const bad = (why: string): RlkitError =>
    new RlkitError("PORT", `bad id ${text}: strconv.Atoi: parsing ${goQuote(text)}: ${why}`);
  if (id === undefined) throw bad("invalid syntax");
  if (id !== BigInt.asIntN(64, id)) throw bad("value out of range");
  await ports.remove(Number(id));
  leases.end(Number(id));
  return { status: 200, body: "" };
}

async function dockerProxy(api: Api, leases: Leases, { body, connection }: Request): Promise<Answer> {
  const answer = (line: string): Answer => ({ status: 200, type: TEXT, body: `${line}\n` });
  const argv = body.length === 0 ? [] : body.toString().replace(/\n$/, "").split("\n");
  const decision = decideDockerProxy(parseDockerProxy(argv), api.info());
  if (api.ports === undefined || decision.do === "plain") return answer("plain");
  if (decision.do === "skip") {
    log.warn(`a container's port is not published: ${decision.why}`);
    return answer("skip");
  }
  const { id } = await api.ports.add(decision.spec, { owner: "target" });
  leases.add(id, connection);
  return answer(`forward ${id} ${decision.childIp}`);
}

/** RootlessKit's REST API, and what rlkit adds to it. */
export const routes: readonly Route[] = [
  { path: /^\/v1\/info$/, methods: { GET: (api) => json(200, api.info()) } },
  {
    path: /^\/v1\/ports$/,
    methods: { GET: (api, _, request) => list(api, request), POST: (api, _, request) => add(api, request) },
  },
  { path: /^\/v1\/ports\/([^/]+)$/, methods: { DELETE: remove } },
  { path: /^\/v1\/docker-proxy$/, methods: { POST: dockerProxy }, plainErrors: true },
  {
    path: /^\/metrics$/,
    methods: { GET: async (api) => ({ status: 200, ...(await renderMetrics(await api.metrics())) }) },
  },
  ...supervisionRoutes,
];

/** The answer for a request that failed. A cause that is known is the client's; the others are defects, and logged. */
export function failure(error: unknown, { plainErrors }: Pick<Route, "plainErrors"> = {}): Answer {
  const known = error instanceof RlkitError;
  if (!known) log.error("a defect in rlkit's API", { error: error instanceof Error ? error.stack : String(error) });
  const hint = known && error.hint !== undefined ? `. To do: ${error.hint}` : "";
  const message = known ? `${error.message}${hint}` : "a defect in rlkit: see its log";
  return errorAnswer(known ? 400 : 500, message, { plainErrors });
}

/** An error as RootlessKit's clients read it: they show `message`. */
export function errorAnswer(
  status: number,
  message: string,
  { plainErrors }: { plainErrors?: true | undefined } = {},
): Answer {
  if (plainErrors) return { status, type: TEXT, body: `${message}\n` };
  return { status, type: "application/json", body: `${goJson({ message })}\n` };
}

/** The answers that need no run: Go's words. */
export const notFound: Answer = { status: 404, type: TEXT, body: "404 page not found\n" };
export const wrongMethod: Answer = { status: 405, body: "" };
export const badRequest: Answer = { status: 400, type: TEXT, body: "400 Bad Request" };
