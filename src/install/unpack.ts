import {
  closeSync,
  createReadStream,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { Extract } from "tar-stream";
import { RlkitError } from "../errors.ts";
import { onDisk, syncDirectory, writeAll } from "./disk.ts";
import { checkEntry, limits, refused, shown, type TarEntry } from "./tar-entry.ts";

/** An archive on the disk, and what it is called in messages. */
export interface ArchiveFile {
  name: string;
  file: string;
}

/** Called with the count of bytes of the archive that have been read, and of all. */
type Progress = (bytes: number, total: number) => void;

type Visit = (entry: TarEntry, content: AsyncIterable<Buffer>) => Promise<void>;

/**
 * Unpacks an archive (tar, also gzipped) into an empty directory that nobody else knows of yet, as a stream. What has been written is
 * on the disk when it resolves. Rejects with an ARCHIVE error for anything that would leave the directory, for a bomb, or for what
 * is no archive; the caller removes the directory then.
 */
export async function unpack(
  archive: ArchiveFile,
  into: string,
  signal: AbortSignal,
  progress: Progress = () => {},
): Promise<void> {
  const tree = new Tree(archive.name, into);
  await visitEntries(archive, (entry, content) => tree.add(entry, content), signal, progress);
  tree.finish();
}

/** The paths of the files in an archive, under the same rules; nothing is written. */
export async function listArchive(archive: ArchiveFile, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  const visit: Visit = async (entry) => {
    if (entry.kind !== "directory") found.push(entry.path);
  };
  await visitEntries(archive, visit, signal, () => {});
  return found;
}

async function visitEntries(
  { name, file }: ArchiveFile,
  visit: Visit,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const { extract } = await import("tar-stream");
  const tar = extract();
  let count = 0;
  let entry = Promise.resolve();
  tar.on("entry", (header, content, next) => {
    count += 1;
    content.on("error", () => {}); // it ends with the archive, whose own error is the one to report
    const handled = async (): Promise<void> => {
      if (count > limits.entries) throw refused(name, `it has more than ${limits.entries} entries`);
      const checked = checkEntry(name, header);
      if (checked.kind === "file" && checked.size > limits.bytes) throw refused(name, tooLarge);
      await visit(checked, content as AsyncIterable<Buffer>);
      content.resume();
    };
    entry = handled();
    entry.then(
      () => next(),
      (error: Error) => tar.destroy(error),
    );
  });
  const source = onDisk("read", file, () =>
    createReadStream(file, { fd: openSync(file, "r"), signal, highWaterMark: 2 ** 18 }),
  );
  const { size } = statSync(file);
  let read = 0;
  source.on("data", (chunk) => {
    read += chunk.length;
    progress(read, size);
  });
  try {
    const unzip = isGzip(file) ? [createGunzip()] : [];
    await pipeline([source, ...unzip, limited(name), tar as Extract & NodeJS.WritableStream]);
  } catch (error) {
    // When an entry fails, its content ends the archive before the entry's own error can.
    const cause = await entry.then(
      () => error,
      (own: unknown) => (own instanceof RlkitError ? own : error),
    );
    if (cause instanceof RlkitError || signal.aborted || (cause as NodeJS.ErrnoException).syscall !== undefined)
      throw cause;
    const isZlib = String((cause as NodeJS.ErrnoException).code).startsWith("Z_");
    throw refused(
      name,
      isZlib ? "its gzip data is damaged or cut off" : `it is no tar archive, or damaged (${(cause as Error).message})`,
      cause,
    );
  }
  if (count === 0) throw refused(name, "there is nothing in it");
}

const tooLarge = `it would take more than ${limits.bytes / 2 ** 30} GiB`;

/** Passes on what an archive may have; a small file can unpack to any size. */
function limited(name: string): Transform {
  let total = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      if (total > limits.bytes) done(refused(name, tooLarge));
      else done(null, chunk);
    },
  });
}

function isGzip(file: string): boolean {
  const fd = openSync(file, "r");
  const start = Buffer.alloc(2);
  readSync(fd, start, 0, 2, 0);
  closeSync(fd);
  return start.equals(Buffer.from([0x1f, 0x8b]));
}

/** The directory that an archive is unpacked into. Nothing is ever written through a link: directories are made here or nowhere. */
class Tree {
  readonly #archive: string;
  readonly #root: string;
  readonly #directories = new Set<string>(["."]);
  readonly #files = new Set<string>();
  readonly #links = new Set<string>();

  constructor(archive: string, root: string) {
    this.#archive = archive;
    this.#root = root;
  }

  async add(entry: TarEntry, content: AsyncIterable<Buffer>): Promise<void> {
    const { path } = entry;
    if (entry.kind === "directory") return this.#makeDirectories(path);
    this.#makeDirectories(dirname(path));
    if (this.#directories.has(path) || this.#files.has(path))
      throw refused(this.#archive, `${shown(path)} is twice in it`);
    this.#files.add(path);
    const to = join(this.#root, path);
    if (entry.kind === "file") await write(to, entry.mode, content);
    else if (entry.kind === "symlink") {
      onDisk("make the link", to, () => symlinkSync(entry.target, to));
      this.#links.add(path);
    } else {
      const isFile = this.#files.has(entry.target) && !this.#links.has(entry.target);
      if (!isFile || entry.target === path)
        throw refused(this.#archive, `the link ${shown(path)} is to no file in it: ${shown(entry.target)}`);
      onDisk("make the link", to, () => linkSync(join(this.#root, entry.target), to));
    }
  }

  #makeDirectories(path: string): void {
    if (this.#directories.has(path)) return;
    this.#makeDirectories(dirname(path));
    if (this.#files.has(path)) throw refused(this.#archive, `${shown(path)} is a directory and something else`);
    const directory = join(this.#root, path);
    onDisk("make the directory", directory, () => mkdirSync(directory, { mode: 0o755 }));
    this.#directories.add(path);
  }

  finish(): void {
    checkLinks(this.#archive, this.#root);
    for (const directory of this.#directories) {
      onDisk("write", this.#root, () => syncDirectory(join(this.#root, directory)));
    }
  }
}

/**
 * Throws an ARCHIVE error if a symbolic link below a directory ends outside of it. A link may lead to another one, and that further:
 * where each ends can only be seen when all are there.
 */
export function checkLinks(archive: string, root: string): void {
  const real = realpathSync.native(root);
  for (const path of linksBelow(root)) {
    if (!endsBelow(path, real))
      throw refused(archive, `the link ${shown(relative(root, path))} leads out of it, or to nothing`);
  }
}

/** Node's own recursive readdir follows links. */
function linksBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return linksBelow(path);
    return entry.isSymbolicLink() ? [path] : [];
  });
}

function endsBelow(link: string, root: string): boolean {
  try {
    // Node's own takes `link/..` for nothing at all, wherever the link leads.
    return realpathSync.native(link).startsWith(`${root}/`);
  } catch {
    return false; // it ends nowhere, or in a circle
  }
}

async function write(path: string, mode: number, content: AsyncIterable<Buffer>): Promise<void> {
  const fd = onDisk("write", path, () => openSync(path, "wx", mode));
  try {
    for await (const chunk of content) onDisk("write", path, () => writeAll(fd, chunk));
    onDisk("write", path, () => {
      fchmodSync(fd, mode);
      fsyncSync(fd);
    });
  } finally {
    closeSync(fd);
  }
}
