import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Machine } from "../host/machine.ts";
import { checkSum, type ExpectedSum, sha256, sha256Of, sumFiles, sumIn } from "./checksum.ts";
import { onDisk, removeFile, removeTree, syncDirectory, writeWhole } from "./disk.ts";
import { download } from "./download.ts";
import { fetchText } from "./http.ts";
import type { Progress } from "./progress.ts";
import type { Archive, Source } from "./source.ts";
import { refused } from "./tar-entry.ts";
import { checkLinks, unpack } from "./unpack.ts";

/** Directories of an installation. */
export interface Store {
  /** Where each version has a directory of its own. */
  versions: string;
  downloads: string;
}

/** What is known of an archive that was unpacked. */
interface Unpacked {
  name: string;
  /** The file or URL. */
  from: string;
  sha256: string;
  /** Who has said that this is the right sum; undefined if nobody has. */
  vouched: string | undefined;
}

/** What was unpacked into a directory: it lies in there, and is the last thing that is written. */
export interface Version {
  name: string;
  archives: readonly Unpacked[];
  /** The names of the programs in it. */
  programs: readonly string[];
}

interface Acquisition {
  store: Store;
  machine: Machine;
  signal: AbortSignal;
  progress: Progress;
}

const MARKER = ".rlkit.json";
const STAGE = ".new";

/** What is in a version's directory; undefined if that was not made here. */
function versionAt(directory: string): Version | undefined {
  const file = join(directory, MARKER);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Version) : undefined;
}

/**
 * Gets the tarballs of a source into a directory of their own, which is complete or not there. Whatever is checked about them is
 * checked before: checksums, what is in them, and that this dockerd runs here. Rejects with a sentence; then nothing is left but
 * downloads that can be resumed.
 */
export async function acquire(
  source: Source & { kind: "archives" },
  acquisition: Acquisition,
): Promise<{ version: Version; isNew: boolean }> {
  const { store } = acquisition;
  const stage = join(store.versions, STAGE);
  onDisk("write", store.versions, () => {
    mkdirSync(store.versions, { recursive: true });
    mkdirSync(store.downloads, { recursive: true, mode: 0o700 });
    removeTree(stage);
  });
  const expected = await Promise.all(source.archives.map((archive) => expectedSum(archive, acquisition.signal)));
  const there = await findVersion(source.archives, expected, acquisition);
  if (there !== undefined) return { version: there, isNew: false };
  try {
    return { version: await unpackAll(source, expected, stage, acquisition), isNew: true };
  } catch (error) {
    removeTree(stage);
    // What can't be right, or has no room, is no use to the next run either.
    const { code } = error as { code?: unknown };
    if (code !== "DOWNLOAD" && !acquisition.signal.aborted) removeTree(store.downloads);
    throw error;
  }
}

/** What the user has said that the sum is, or a file beside the archive. */
async function expectedSum({ name, at, sha256 }: Archive, signal: AbortSignal): Promise<ExpectedSum | undefined> {
  if (sha256 !== undefined) return { sha256, from: "--sha256" };
  if ("url" in at && isOpen(at.url)) {
    throw new RlkitError("CHECKSUM", `${at.url} is not encrypted, so what comes may be anybody's`, {
      hint: "take an address that begins with https, or say what the checksum is: --sha256=HEX",
    });
  }
  for (const file of sumFiles(name)) {
    const beside = "file" in at ? join(dirname(at.file), file) : new URL(file, at.url).href;
    const text = "file" in at ? readText(beside) : await fetchText(beside, signal);
    const sum = text === undefined ? undefined : sumIn(text, name);
    if (sum !== undefined) return { sha256: sum, from: beside };
  }
  return undefined;
}

const readText = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

/** Whether others than the server could change what comes. */
function isOpen(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}

const whereOf = ({ at }: Archive): string => ("file" in at ? at.file : at.url);

/** A version that was unpacked from the same files or addresses before, whatever is there now. */
export function knownVersion({ versions }: Store, archives: readonly Archive[]): Version | undefined {
  return versionsIn(versions).find(
    ({ archives: unpacked }) =>
      unpacked.length === archives.length && archives.every((archive, i) => unpacked[i]?.from === whereOf(archive)),
  );
}

function versionsIn(directory: string): Version[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((name) => versionAt(join(directory, name)) ?? []);
}

/** A version that was unpacked from the same archives before. */
async function findVersion(
  archives: readonly Archive[],
  expected: readonly (ExpectedSum | undefined)[],
  { store, signal }: Acquisition,
): Promise<Version | undefined> {
  const versions = versionsIn(store.versions);
  if (versions.length === 0) return undefined;
  const sumOf = ({ at }: Archive, i: number): Promise<string> | string | undefined =>
    "file" in at && existsSync(at.file) ? sha256Of(at.file, signal) : expected[i]?.sha256;
  const sums = await Promise.all(archives.map(sumOf));
  const isSame = ({ archives: unpacked }: Version): boolean =>
    unpacked.length === archives.length &&
    archives.every((archive, i) => {
      // Without any sum, an address that was downloaded before stands for what came then.
      const sum = sums[i];
      return sum === undefined ? unpacked[i]?.from === whereOf(archive) : unpacked[i]?.sha256 === sum;
    });
  return versions.find(isSame);
}

async function unpackAll(
  source: Source & { kind: "archives" },
  expected: readonly (ExpectedSum | undefined)[],
  stage: string,
  acquisition: Acquisition,
): Promise<Version> {
  const { store, signal, progress } = acquisition;
  const all = join(stage, "all");
  onDisk("make the directory", all, () => mkdirSync(all, { recursive: true }));
  const unpacked: Unpacked[] = [];
  const downloaded: string[] = [];
  for (const [i, archive] of source.archives.entries()) {
    const { name, at } = archive;
    const file = "file" in at ? at.file : join(store.downloads, `${sha256(at.url).slice(0, 8)}-${name}`);
    if ("url" in at) {
      downloaded.push(file);
      if (!existsSync(file)) {
        const bar = progress(`download ${name}`);
        await download({ url: at.url, to: file, signal, progress: bar.update }).finally(bar.end);
      }
    }
    const found = await sha256Of(file, signal);
    const sum = expected[i];
    if (sum !== undefined) checkSum(name, found, sum);
    unpacked.push({ name, from: whereOf(archive), sha256: found, vouched: sum?.from });
    const own = join(stage, String(i));
    onDisk("make the directory", own, () => mkdirSync(own));
    const bar = progress(`unpack ${name}`);
    await unpack({ name, file }, own, signal, bar.update).finally(bar.end);
    merge(name, own, all);
  }
  const programs = programsIn(all);
  if (!programs.includes("dockerd")) {
    throw refused(source.archives.map(({ name }) => name).join(" and "), "there is no program dockerd in it");
  }
  checkRuns(join(all, "dockerd"), acquisition.machine);
  const name = freeName(store.versions, source.version, unpacked);
  const version: Version = { name, archives: unpacked, programs };
  writeWhole(join(all, MARKER), `${JSON.stringify(version, undefined, 2)}\n`, 0o644);
  onDisk("write", join(store.versions, name), () => {
    renameSync(all, join(store.versions, name));
    syncDirectory(store.versions);
  });
  removeTree(stage);
  for (const file of downloaded) removeFile(file);
  return version;
}

/** Docker's archives have one directory, of another name in each: what is in it goes into the common one. */
function merge(archive: string, from: string, into: string): void {
  const top = onlyDirectory(from);
  for (const name of readdirSync(top)) {
    const to = join(into, name);
    if (existsSync(to)) throw refused(archive, `${name} is in another archive as well`);
    onDisk("write", to, () => renameSync(join(top, name), to));
  }
  checkLinks(archive, into);
}

function onlyDirectory(path: string): string {
  const [only, ...others] = readdirSync(path, { withFileTypes: true });
  return only?.isDirectory() && others.length === 0 ? join(path, only.name) : path;
}

function programsIn(directory: string): string[] {
  const isProgram = (path: string): boolean => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // a licence, or the like
    }
  };
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && isProgram(join(directory, entry.name)))
    .map(({ name }) => name)
    .sort();
}

function checkRuns(dockerd: string, { run }: Machine): void {
  const { status, output } = run([dockerd, "--version"]);
  if (status === 0) return;
  const said = output.trim().split("\n").at(-1) || `status ${status}`;
  throw new RlkitError("ARCHIVE", `the dockerd that was unpacked does not run here: ${said}`, {
    hint: `take one for this processor (${process.arch}); and see that ${dirname(dirname(dirname(dirname(dockerd))))} is not mounted with noexec`,
  });
}

/** The version, or, when that name is taken by something else, the version with a part of the sums. */
function freeName(versions: string, version: string, archives: readonly Unpacked[]): string {
  const sums = sha256(archives.map((archive) => archive.sha256).join(" "));
  return existsSync(join(versions, version)) ? `${version}-${sums.slice(0, 12)}` : version;
}
