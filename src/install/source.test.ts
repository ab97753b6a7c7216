import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { channelUrl, namedSource, newestVersion, releaseSource } from "./source.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rlkit-source-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const files = (...names: string[]): void => {
  for (const name of names) writeFileSync(join(directory, name), "");
};
const named = (from: string[], rest: { version?: string; sha256?: string[] } = {}) =>
  namedSource({ from, version: rest.version, channel: undefined, mirror: "", sha256: rest.sha256 ?? [] });
const at = (name: string) => ({ name, at: { file: join(directory, name) } });

test("a release: two tarballs of a channel and a processor", () => {
  const url = channelUrl("https://download.docker.com/", "test", "arm64");
  expect(url).toBe("https://download.docker.com/linux/static/test/aarch64/");
  expect(releaseSource(url, "28.5.1", ["A".repeat(64)])).toEqual({
    kind: "archives",
    version: "28.5.1",
    archives: [
      { name: "docker-28.5.1.tgz", at: { url: `${url}docker-28.5.1.tgz` }, sha256: "a".repeat(64) },
      { name: "docker-rootless-extras-28.5.1.tgz", at: { url: `${url}docker-rootless-extras-28.5.1.tgz` } },
    ],
  });
});

test.each([
  [["9.0.1", "27.10.0", "27.9.3"], "27.10.0"],
  [["28.0.0-rc.2", "28.0.0-rc.10", "27.5.1"], "28.0.0-rc.10"],
  [["28.0.0-rc.2", "28.0.0"], "28.0.0"],
  [[], undefined],
])("of %j the newest is %s", (versions, newest) => {
  const page = versions
    .map((version) => `<a href="docker-${version}.tgz">docker-rootless-extras-99.0.0.tgz</a>`)
    .join("\n");
  expect(newestVersion(page)).toBe(newest);
});

test("a directory with the tarballs of one version", () => {
  files("docker-27.1.0.tgz", "docker-rootless-extras-27.1.0.tgz", "docker-rootless-extras-26.0.0.tgz", "notes.txt");
  expect(named([directory])).toEqual({
    kind: "archives",
    version: "27.1.0",
    archives: [at("docker-27.1.0.tgz"), at("docker-rootless-extras-27.1.0.tgz")],
  });
});

test("of several versions in a directory one has to be chosen", () => {
  files("docker-27.1.0.tgz", "docker-26.0.0.tgz");
  expect(() => named([directory])).toThrow("has several versions: docker-26.0.0.tgz, docker-27.1.0.tgz");
  expect(named([directory], { version: "26.0.0" })).toMatchObject({
    version: "26.0.0",
    archives: [at("docker-26.0.0.tgz")],
  });
});

test("a directory of programs is used where it is", () => {
  files("dockerd", "docker");
  expect(named([directory])).toEqual({ kind: "directory", path: directory, linked: true });
});

test("files and addresses, with the version in their names or without", () => {
  files("docker-27.1.0.tgz", "mine.tar.gz", "..tgz");
  const [url, query] = ["https://example.com/x/docker-rootless-extras-27.1.0.tgz", "?token=1"];
  expect(named([join(directory, "docker-27.1.0.tgz"), url + query])).toEqual({
    kind: "archives",
    version: "27.1.0",
    archives: [at("docker-27.1.0.tgz"), { name: "docker-rootless-extras-27.1.0.tgz", at: { url: url + query } }],
  });
  expect(named([join(directory, "mine.tar.gz")])).toMatchObject({ version: "mine" });
  expect(named([join(directory, "..tgz")])).toMatchObject({ version: "unnamed" });
});

test("what can't be a source is a sentence", () => {
  files("a.tgz");
  mkdirSync(join(directory, "empty"));
  const file = join(directory, "a.tgz");
  for (const [from, rest, text] of [
    [["/nonexistent.tgz"], {}, "there is no /nonexistent.tgz"],
    [[join(directory, "empty")], {}, "there is neither dockerd nor docker-VERSION.tgz in"],
    [[join(directory, "empty"), file], {}, "is a directory, and those can't be combined"],
    [[file, file], {}, "--from names a.tgz twice"],
    [["https://example.com/"], {}, "does not end with the name of a file"],
    [[file], { sha256: ["12"] }, "--sha256=12 is no SHA-256"],
    [[file], { sha256: ["a".repeat(64), "a".repeat(64)] }, "--sha256 is given more often than there are tarballs (1)"],
    [[file], { version: "../../x" }, "--version=../../x is no version"],
  ] as const) {
    expect(() => named([...from], { ...rest } as { sha256?: string[] })).toThrow(text);
  }
});
