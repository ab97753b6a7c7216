import { createWriteStream, linkSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { isErrno, RlkitError } from "../errors.ts";

/** A file by its name, with its text. */
export interface Entry {
  name: string;
  text: string;
}

/**
 * Writes a .tar.gz for its owner alone, under a directory of the same name. It has its name only when it is whole; a file of that name is
 * left as it is. Throws RlkitError.
 */
export async function writeTarball(path: string, directory: string, entries: readonly Entry[]): Promise<void> {
  const unfinished = join(dirname(path), `.rlkit-support-${process.pid}.tmp`);
  try {
    const tar = pack();
    for (const { name, text } of entries) tar.entry({ name: `${directory}/${name}`, mode: 0o600 }, text);
    tar.finalize();
    await pipeline(tar, createGzip(), createWriteStream(unfinished, { mode: 0o600, flags: "wx" }));
    linkSync(unfinished, path);
  } catch (cause) {
    const why = isErrno(cause, "EEXIST") ? "there is a file of that name" : (cause as Error).message;
    throw new RlkitError("USAGE", `cannot write ${path}: ${why}`, { hint: "name another one: -o FILE", cause });
  } finally {
    rmSync(unfinished, { force: true });
  }
}
