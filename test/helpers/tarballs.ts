import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
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

/** A program that does next to nothing. */
const script = (text: string): string => `#!/bin/sh\n${text}\n`;

/** Docker's two archives, with programs that only look like them; its client is the machine's own. */
export async function smallDocker(version: string): Promise<{ main: Buffer; extras: Buffer }> {
  const program = (name: string, text: string): TarballEntry => ({ name, mode: 0o755, content: script(text) });
  return {
    main: await tarball([
      { name: "docker/", type: "directory" },
      program("docker/dockerd", `echo "Docker version ${version}, build 0"`),
      program("docker/docker", 'exec /usr/bin/docker "$@"'),
      program("docker/containerd", "exit 0"),
      { name: "docker/runc", mode: 0o4755, content: script("exit 0") },
    ]),
    extras: await tarball([
      { name: "docker-rootless-extras/", type: "directory" },
      program("docker-rootless-extras/rootlesskit", "exit 1"),
      program("docker-rootless-extras/vpnkit", "exit 1"),
    ]),
  };
}

/** Where a package has put a program: not in /usr/local, whose version may be another. */
function packaged(name: string): string {
  const path = ["/usr/bin", "/usr/sbin"].map((directory) => join(directory, name)).find((file) => existsSync(file));
  if (path === undefined) throw new Error(`no package has installed ${name}`);
  return path;
}

/** Docker's first archive, of this machine's own programs. */
export async function realDocker(): Promise<Buffer> {
  const programs = ["dockerd", "docker", "docker-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "runc"];
  const entries = programs.map(async (name) => ({
    name: `docker/${name}`,
    mode: 0o755,
    content: await readFile(packaged(name)),
  }));
  return tarball([{ name: "docker/", type: "directory" }, ...(await Promise.all(entries))]);
}
