import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { RlkitError } from "../errors.ts";

/** A tarball: a file of this machine, or an address. */
export interface Archive {
  /** The last part of its path: docker-27.3.1.tgz. */
  name: string;
  at: { file: string } | { url: string };
  /** What its SHA-256 must be, in hex, if the user has said it. */
  sha256?: string;
}

/** Where Docker's programs come from. */
export type Source =
  /** Tarballs, to be unpacked into one directory that bears the version. */
  | { kind: "archives"; version: string; archives: readonly Archive[] }
  /** A directory in which they lie, and stay; without `linked` it is on PATH already. */
  | { kind: "directory"; path: string; linked: boolean };

/** What the command line says about the source. */
export interface SourceOptions {
  from: readonly string[];
  version: string | undefined;
  channel: string | undefined;
  mirror: string;
  sha256: readonly string[];
}

const ARCHIVE = /\.(tgz|tar\.gz|tar)$/;
const VERSION = /^\d[\w.+~-]*$/;
const usage = (text: string, hint?: string): RlkitError => new RlkitError("USAGE", text, { hint });

const notAVersion = (text: string): RlkitError => usage(`--version=${text} is no version: write it like 28.5.1`);

/** Docker's names for the processors of `process.arch`. */
const architectures: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64", arm: "armhf" };

/** The directory of Docker's static binaries for a channel and a processor (`process.arch`). */
export function channelUrl(mirror: string, channel: string, arch: string): string {
  const name = architectures[arch];
  if (name === undefined) {
    throw usage(`${mirror} has no binaries for ${arch}`, "install docker's packages, or name tarballs: --from");
  }
  return `${mirror.replace(/\/+$/, "")}/linux/static/${channel}/${name}/`;
}

/** The source for a version of a channel: two tarballs, of which the second has what is for rootless daemons only. */
export function releaseSource(directory: string, version: string, sha256: readonly string[]): Source {
  if (!VERSION.test(version)) throw notAVersion(version);
  const names = [`docker-${version}.tgz`, `docker-rootless-extras-${version}.tgz`];
  const archives = names.map((name) => ({ name, at: { url: `${directory}${name}` } }));
  return { kind: "archives", version, archives: withSums(archives, sha256) };
}

/** The newest version that a channel's page lists; undefined if there is none. */
export function newestVersion(page: string): string | undefined {
  const found = [...page.matchAll(/\bdocker-(\d+\.\d+\.\d+(?:-[\w.]+)?)\.tgz/g)].map(([, version = ""]) => version);
  return found.sort(compareVersions).at(-1);
}

/** 27.10.0 is newer than 27.9.1, and 28.0.0 than 28.0.0-rc.1. */
function compareVersions(a: string, b: string): number {
  const [[mainA = "", preA], [mainB = "", preB]] = [a.split(/-(.*)/s), b.split(/-(.*)/s)];
  const order = mainA.localeCompare(mainB, "en", { numeric: true });
  if (order !== 0 || preA === preB) return order;
  if (preA === undefined) return 1;
  return preB === undefined ? -1 : preA.localeCompare(preB, "en", { numeric: true });
}

/** The source that `--from` names: tarballs, or one directory. Throws USAGE errors. */
export function namedSource({ from, version, sha256 }: SourceOptions): Source {
  if (version !== undefined && !VERSION.test(version)) throw notAVersion(version);
  const [first = "", ...others] = from;
  if (!isUrl(first) && others.length === 0 && isDirectory(resolve(first))) {
    return directorySource(resolve(first), version, sha256);
  }
  const archives = from.map(archiveAt);
  const twice = archives.find(({ name }, i) => archives.findIndex((other) => other.name === name) !== i);
  if (twice !== undefined) throw usage(`--from names ${twice.name} twice`);
  return { kind: "archives", version: version ?? versionOf(archives), archives: withSums(archives, sha256) };
}

function archiveAt(word: string): Archive {
  if (isUrl(word)) return { name: urlName(word), at: { url: word } };
  const file = resolve(word);
  if (!existsSync(file)) throw usage(`--from: there is no ${file}`, "name a tarball, a directory or a URL");
  if (isDirectory(file)) throw usage(`--from: ${file} is a directory, and those can't be combined with others`);
  return { name: basename(file), at: { file } };
}

function directorySource(path: string, version: string | undefined, sha256: readonly string[]): Source {
  const names = readdirSync(path).filter((name) => ARCHIVE.test(name));
  const ofKind = (kind: RegExp): string[] =>
    names.filter((name) => kind.test(name) && (version === undefined || versionIn(name) === version));
  const [main = [], extras = []] = [/^docker-\d/, /^docker-rootless-extras-\d/].map(ofKind);
  const [only, another] = main;
  if (only !== undefined) {
    if (another !== undefined) {
      throw usage(`${path} has several versions: ${main.join(", ")}`, "choose one: --version=VERSION");
    }
    const chosen = [only, ...extras.filter((name) => versionIn(name) === versionIn(only))];
    const archives = chosen.map((name) => ({ name, at: { file: join(path, name) } }));
    return { kind: "archives", version: versionOf(archives), archives: withSums(archives, sha256) };
  }
  if (existsSync(join(path, "dockerd"))) return { kind: "directory", path, linked: true };
  const wanted = version === undefined ? "docker-VERSION.tgz" : `docker-${version}.tgz`;
  throw usage(`there is neither dockerd nor ${wanted} in ${path}`, "name the directory or tarball that has it: --from");
}

/** The source when none is named: the dockerd that is found. */
export const foundSource = (dockerd: string): Source => ({ kind: "directory", path: dirname(dockerd), linked: false });

function withSums(archives: readonly Archive[], sums: readonly string[]): Archive[] {
  if (sums.length > archives.length)
    throw usage(`--sha256 is given more often than there are tarballs (${archives.length})`);
  const wrong = sums.find((sum) => !/^[\da-f]{64}$/i.test(sum));
  if (wrong !== undefined) throw usage(`--sha256=${wrong} is no SHA-256: that has 64 digits, 0-9 and a-f`);
  return archives.map((archive, i) => {
    const sha256 = sums[i]?.toLowerCase();
    return sha256 === undefined ? archive : { ...archive, sha256 };
  });
}

const isUrl = (word: string): boolean => /^https?:\/\//.test(word);
const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function urlName(url: string): string {
  const name = URL.canParse(url) ? basename(decodeURIComponent(new URL(url).pathname)) : "";
  if (!/^[\w.+~-]+$/.test(name) || name.startsWith("."))
    throw usage(`--from: ${url} does not end with the name of a file`);
  return name;
}

const versionIn = (name: string): string | undefined =>
  /^docker-(?:rootless-extras-)?(\d[\w.+~-]*)$/.exec(name.replace(ARCHIVE, ""))?.[1];

/** The version in the name of the first tarball that has one; otherwise that name without its ending. */
function versionOf(archives: readonly Archive[]): string {
  const found = archives.map(({ name }) => versionIn(name)).find((version) => version !== undefined);
  const stem = (archives[0]?.name ?? "").replace(ARCHIVE, "");
  // It becomes the name of a directory.
  return found ?? (/^\w[\w.+~-]*$/.test(stem) ? stem : "unnamed");
}
