import { RlkitError } from "../errors.ts";

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

/** Asks a web server, following its redirections, but none from https to http. */
export async function fetchFrom(url: string, { headers = {}, signal }: Request): Promise<Answer> {
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), STALLED);
  const cut = (error: unknown): never => {
    clearTimeout(timer);
    if (signal.aborted) throw error;
    throw new NetworkCut(stall.signal.aborted ? `nothing came for ${STALLED / 1000} seconds` : reasonOf(error), {
      cause: error,
    });
  };
  const response = await fetch(url, { headers, signal: AbortSignal.any([signal, stall.signal]) }).catch(cut);
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
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  return reasons[cause?.code ?? ""] ?? cause?.message ?? (error as Error).message;
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
