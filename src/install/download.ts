import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Response } from "undici";
import { RlkitError } from "../errors.ts";
import { onDisk, removeFile, syncDirectory, writeAll, writeWhole } from "./disk.ts";
import { fetchFrom, httpProblem, NetworkCut } from "./http.ts";

/** Attempts in a row that bring nothing, before it is given up. */
const FRUITLESS = 4;
const FIRST_PAUSE = 250; // milliseconds, doubled each time

/** What a partial download is of: bytes of another edition of the file must not be mixed in. */
interface Edition {
  url: string;
  /** For If-Range: a strong ETag, or Last-Modified. Without one a download can't be resumed. */
  validator: string | undefined;
  length: number | undefined;
}

/** How far it is: bytes that are there, and of how many, if that is known. */
type DownloadProgress = (bytes: number, total: number | undefined) => void;

interface Download {
  url: string;
  /** Where the file is to lie; `FILE.partial` and `FILE.partial.json` are beside it until it is complete. */
  to: string;
  signal: AbortSignal;
  progress: DownloadProgress;
}

/**
 * Downloads a file. What an earlier run has brought is kept if the server still has the same edition; a connection that is cut is
 * made again, for as long as each brings something. Rejects with a DOWNLOAD error; the partial file stays for the next run.
 */
export async function download({ url, to, signal, progress }: Download): Promise<void> {
  const partial = `${to}.partial`;
  const fd = onDisk("write", partial, () => openSync(partial, "a+", 0o600));
  try {
    let fruitless = 0;
    for (;;) {
      const before = fstatSync(fd).size;
      try {
        await attempt({ url, to, signal, progress }, fd, partial);
        break;
      } catch (error) {
        if (!(error instanceof NetworkCut) || signal.aborted) throw error;
        const { size } = fstatSync(fd);
        fruitless = size > before ? 0 : fruitless + 1;
        if (fruitless >= FRUITLESS) throw gaveUp(url, size, error);
        await pause(FIRST_PAUSE * 2 ** fruitless, undefined, { signal });
      }
    }
    onDisk("write", partial, () => fsyncSync(fd));
  } catch (error) {
    if (fstatSync(fd).size === 0) for (const path of [partial, `${partial}.json`]) removeFile(path);
    throw error;
  } finally {
    closeSync(fd);
  }
  onDisk("write", to, () => {
    renameSync(partial, to);
    removeFile(`${partial}.json`);
    syncDirectory(dirname(to));
  });
}

function gaveUp(url: string, size: number, cut: NetworkCut): RlkitError {
  const got = size > 0 ? ` after ${size} bytes` : "";
  const hint =
    "run the same command again: it goes on where this one ended; or get the file in another way, and name it with --from";
  return new RlkitError("DOWNLOAD", `cannot download ${url}: ${cut.message}${got}`, { hint, cause: cut });
}

async function attempt({ url, signal, progress }: Download, fd: number, partial: string): Promise<void> {
  const known = readEdition(partial, url);
  if (known?.validator === undefined) ftruncateSync(fd, 0);
  const have = fstatSync(fd).size;
  if (have > 0 && have === known?.length) return;
  const range: Record<string, string> =
    have > 0 && known?.validator !== undefined ? { Range: `bytes=${have}-`, "If-Range": known.validator } : {};
  const { response, chunks } = await fetchFrom(url, { headers: { ...range, "Accept-Encoding": "identity" }, signal });
  const goesOn = response.status === 206 && startOf(response) === have;
  if (response.status === 416 || (response.status === 206 && !goesOn)) {
    // Not the edition that the partial file is of, whatever the server may think: from the beginning.
    ftruncateSync(fd, 0);
    removeFile(`${partial}.json`);
    throw new NetworkCut(`the server can't go on with the download (status ${response.status})`);
  }
  if (!response.ok) throw httpProblem(url, response.status);
  const length = lengthOf(response, goesOn ? have : 0);
  if (!goesOn) {
    onDisk("write", partial, () => ftruncateSync(fd, 0));
    writeWhole(
      `${partial}.json`,
      JSON.stringify({ url, validator: validatorOf(response), length } satisfies Edition),
      0o600,
    );
  }
  let size = goesOn ? have : 0;
  progress(size, length);
  for await (const chunk of chunks) {
    onDisk("write", partial, () => writeAll(fd, chunk));
    size += chunk.length;
    progress(size, length);
  }
  if (length !== undefined && size !== length)
    throw new NetworkCut(`the connection was cut: ${size} of ${length} bytes came`);
}

function readEdition(partial: string, url: string): Edition | undefined {
  const file = `${partial}.json`;
  if (!existsSync(file)) return undefined;
  const edition = JSON.parse(readFileSync(file, "utf8")) as Edition;
  return edition.url === url ? edition : undefined;
}

/** A weak ETag promises too little to join parts. */
function validatorOf({ headers }: Response): string | undefined {
  const etag = headers.get("etag");
  return (etag?.startsWith('"') ? etag : headers.get("last-modified")) ?? undefined;
}

function startOf({ headers }: Response): number {
  return Number(/^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1] ?? -1);
}

/** The length of the whole file; `before` is what comes before this answer. */
function lengthOf({ headers }: Response, before: number): number | undefined {
  const length = headers.get("content-length");
  return length === null ? undefined : before + Number(length);
}
