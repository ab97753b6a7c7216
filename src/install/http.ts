import type { Dispatcher, Response } from "undici";
import { RlkitError } from "../errors.ts";
import { type Proxies, proxiesIn, withoutPassword } from "./proxy.ts";

/** Without a byte for so long, a connection counts as cut. */
const STALLED = 30_000; // milliseconds

/** The network, or the server, failed in a way that may be over at the next attempt. */
export class NetworkCut extends Error {}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the server refuses the connection",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "there is no host of that name, or no name server answers",
  EAI_AGAIN: "no name server answers",
  ENETUNREACH: "the network is unreachable",
  EHOSTUNREACH: "the host is unreachable",
  ETIMEDOUT: "the server does not answer",
  UND_ERR_CONNECT_TIMEOUT: "the server does not answer",
  UND_ERR_SOCKET: "the connection was cut",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  SELF_SIGNED_CERT_IN_CHAIN:
    "the server's certificate is signed by nobody known (NODE_EXTRA_CA_CERTS names more authorities)",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the server's certificate is signed by nobody known (NODE_EXTRA_CA_CERTS names more authorities)",
};

interface Request {
  headers?: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

/** An answer: its head, and its body as it comes. Both throw NetworkCut when the connection fails or stalls. */
interface Answer {
  response: Response;
  chunks: AsyncIterable<Uint8Array>;
}

/** What carries requests to the proxies; plain ones are not tunneled, as proxies allow that to port 443 alone. */
async function dispatcherTo({ http = "", https = "", none = "" }: Proxies): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import("undici");
  return new EnvHttpProxyAgent({ httpProxy: http, httpsProxy: https, noProxy: none, proxyTunnel: false });
}

/** Asks a web server, by the environment's proxy if it names one, following redirections, but none from https to http. */
export async function fetchFrom(url: string, { headers = {}, signal }: Request): Promise<Answer> {
  const { fetch } = await import("undici");
  const proxies = proxiesIn(process.env);
  const dispatcher = proxies === undefined ? undefined : await dispatcherTo(proxies);
  const proxy = url.startsWith("https:") ? proxies?.https : proxies?.http;
  const by = proxy === undefined ? "" : `, by way of the proxy ${withoutPassword(proxy)}`;
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), STALLED);
  const cut = (error: unknown): never => {
    clearTimeout(timer);
    if (signal.aborted) throw error;
    const reason = stall.signal.aborted ? `nothing came for ${STALLED / 1000} seconds` : reasonOf(error);
    throw new NetworkCut(`${reason}${by}`, { cause: error });
  };
  const asked = { headers, signal: AbortSignal.any([signal, stall.signal]), ...(dispatcher && { dispatcher }) };
  const response = await fetch(url, asked).catch(cut);
  if (url.startsWith("https:") && !response.url.startsWith("https:")) {
    throw new RlkitError("DOWNLOAD", `${url} leads to ${response.url}, which is not encrypted`, {
      hint: "name an address that is encrypted all the way, or the file's checksum: --sha256",
    });
  }
  async function* chunks(): AsyncIterable<Uint8Array> {
    try {
      for await (const chunk of response.body ?? []) {
        timer.refresh();
        yield chunk;
      }
    } catch (error) {
      if (error instanceof RlkitError) throw error;
      cut(error);
    } finally {
      clearTimeout(timer);
    }
  }
  return { response, chunks: chunks() };
}

function reasonOf(error: unknown): string {
  let cause = error as NodeJS.ErrnoException;
  while (cause.cause instanceof Error) cause = cause.cause;
  const status = /\((\d{3})\)/.exec(cause.message)?.[1]; // of the proxy: a server's own is no error of fetch
  if (status === "407") return "the proxy wants a name and a password (http://NAME:PASSWORD@HOST:PORT)";
  if (status !== undefined) return `the proxy refuses (status ${status})`;
  return reasons[cause.code ?? ""] ?? cause.message;
}

/** A status other than success, as an error; those of a server in trouble may be over soon. */
export function httpProblem(url: string, status: number): Error {
  if (status >= 500 || status === 429) return new NetworkCut(`the server has trouble (status ${status})`);
  const what = status === 404 || status === 403 ? "there is no such file" : "the server refuses";
  const hint = "look at the address, or at the list of versions: https://download.docker.com/linux/static/";
  return new RlkitError("DOWNLOAD", `cannot download ${url}: ${what} (status ${status})`, { hint });
}

/** A short text; undefined if there is none at that address. Throws a DOWNLOAD error. */
export async function fetchText(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { response, chunks } = await fetchFrom(url, { signal });
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > 2 ** 20) break; // a page for people, and no list of checksums
      parts.push(chunk);
    }
    if (response.status === 404 || response.status === 403) return undefined;
    if (!response.ok) throw httpProblem(url, response.status);
    return Buffer.concat(parts).toString("utf8");
  } catch (cause) {
    if (!(cause instanceof NetworkCut)) throw cause;
    const hint = "look at the network and at the address; or get the file in another way, and name it with --from";
    throw new RlkitError("DOWNLOAD", `cannot read ${url}: ${cause.message}`, { hint, cause });
  }
}
