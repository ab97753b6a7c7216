import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { type Header, type Pack, pack } from "tar-stream";

/** An entry of an archive: a header, and what is in the file. */
export type TarballEntry = Partial<Header> & { name: string; content?: string | Buffer };

function add(tar: Pack, { content, ...header }: TarballEntry): void {
  if (content === undefined) tar.entry(header);
  else tar.entry(header, content);
}

/** A gzipped archive of these entries, as hostile as they are. */
export function tarball(entries: readonly TarballEntry[]): Promise<Buffer> {
  const tar = pack();
  for (const entry of entries) add(tar, entry);
  tar.finalize();
  return buffer(tar.pipe(createGzip({ level: 1 })));
}
