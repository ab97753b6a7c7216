import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Machine } from "../host/machine.ts";
import { findProgram } from "../host/programs.ts";
import { acquire, knownVersion, type Version } from "./acquire.ts";
import { fetchText } from "./http.ts";
import type { Layout } from "./layout.ts";
import { readLink } from "./look.ts";
import type { Programs } from "./plan.ts";
import type { Progress } from "./progress.ts";
import {
  channelUrl,
  foundSource,
  namedSource,
  newestVersion,
  releaseSource,
  type Source,
  type SourceOptions,
} from "./source.ts";
import { listArchive } from "./unpack.ts";

/** What Docker's tarballs have. */
const docker = [
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "docker",
  "docker-init",
  "docker-proxy",
  "dockerd",
  "runc",
];
const extras = ["dockerd-rootless-setuptool.sh", "dockerd-rootless.sh", "rootlesskit", "rootlesskit-docker-proxy"];

/** A source, and whether it is that of an earlier installation, as none is named now. */
interface Resolved {
  source: Source;
  isRecorded: boolean;
}

/** The source that the command line names; else that of the earlier installation; else what is on PATH. */
export async function resolveSource(
  options: SourceOptions,
  recorded: Source | undefined,
  env: Machine["env"],
  signal: AbortSignal,
): Promise<Resolved> {
  const { from, version, channel, mirror, sha256 } = options;
  if (from.length > 0) {
    if (channel !== undefined) {
      throw new RlkitError("USAGE", "--channel and --from exclude each other", {
        hint: "--from names all that is taken",
      });
    }
    return { source: namedSource(options), isRecorded: false };
  }
  if (version !== undefined || channel !== undefined) {
    const directory = channelUrl(mirror, channel ?? "stable", process.arch);
    const chosen = version ?? newestVersion((await fetchText(directory, signal)) ?? "");
    if (chosen === undefined) {
      throw new RlkitError("DOWNLOAD", `${directory} lists no versions`, { hint: "name one: --version=VERSION" });
    }
    return { source: releaseSource(directory, chosen, sha256), isRecorded: false };
  }
  if (sha256.length > 0)
    throw new RlkitError("USAGE", "--sha256 is for tarballs", { hint: "name them: --from or --version" });
  if (recorded !== undefined) return { source: recorded, isRecorded: true };
  const found = findProgram("dockerd", `${env.PATH ?? ""}:/usr/sbin:/sbin`);
  if (found !== undefined) return { source: foundSource(found), isRecorded: false };
  throw new RlkitError("INSTALL", "there is no dockerd on PATH, and no tarball is named", {
    hint: "download Docker's own: rlkit install --channel=stable; or name tarballs: --from docker-VERSION.tgz",
  });
}

interface Obtain extends Resolved {
  layout: Layout;
  machine: Machine;
  signal: AbortSignal;
  progress: Progress;
}

/** Gets the programs; what is unpacked lies in a directory of its own, which nothing leads to yet. */
export async function obtain({
  source,
  isRecorded,
  layout,
  ...rest
}: Obtain): Promise<{ programs: Programs; version: Version | undefined; isNew: boolean }> {
  if (source.kind === "directory") return { programs: inDirectory(source, layout), version: undefined, isNew: false };
  const known = isRecorded ? knownVersion(layout, source.archives) : undefined;
  const { version, isNew } =
    known === undefined ? await acquire(source, { store: layout, ...rest }) : { version: known, isNew: false };
  return { programs: unpacked(layout, version.name, version.programs), version, isNew };
}

/** What the programs would be, as far as that can be told without writing anything: of a file all, of an address what is usual. */
export async function foresee({
  source,
  layout,
  signal,
}: Pick<Obtain, "source" | "layout" | "signal">): Promise<Programs> {
  if (source.kind === "directory") return inDirectory(source, layout);
  const names = new Set<string>();
  for (const { name, at } of source.archives) {
    const found =
      "file" in at && existsSync(at.file)
        ? (await listArchive({ name, file: at.file }, signal)).map((path) => basename(path))
        : name.includes("rootless-extras")
          ? extras
          : docker;
    for (const each of found) names.add(each);
  }
  return unpacked(layout, source.version, [...names].sort());
}

const unpacked = (layout: Layout, version: string, names: readonly string[]): Programs => ({
  directory: layout.current,
  names,
  version,
  onPath: false,
});

function inDirectory({ path, linked }: Source & { kind: "directory" }, layout: Layout): Programs {
  const names = [...docker, ...extras].filter((name) => existsSync(join(path, name)));
  if (!names.includes("dockerd")) {
    throw new RlkitError("INSTALL", `there is no dockerd in ${path} any more`, { hint: "name where it is: --from" });
  }
  return { directory: path, names, version: undefined, onPath: !linked || path === layout.bin };
}

/** The name of the version that is in use; undefined if none is. */
export function versionInUse({ current }: Layout): string | undefined {
  const target = readLink(current);
  return target === undefined ? undefined : basename(target);
}
