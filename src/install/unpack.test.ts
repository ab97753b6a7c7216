import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type TarballEntry, tarball } from "../../test/helpers/tarballs.ts";
import { limits } from "./tar-entry.ts";
import { listArchive, unpack } from "./unpack.ts";

let top: string;
let into: string;
let file: string;
const never = new AbortController().signal;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "rlkit-unpack-"));
  into = join(top, "deep", "into");
  mkdirSync(into, { recursive: true });
  file = join(top, "a.tgz");
});
afterEach(() => rmSync(top, { recursive: true }));

async function unpacked(entries: readonly TarballEntry[]): Promise<void> {
  writeFileSync(file, await tarball(entries));
  await unpack({ name: "a.tgz", file }, into, never);
}

/** What lies where it must not, whatever was unpacked. */
const outside = (): string[] => [...readdirSync(top), ...readdirSync(join(top, "deep"))].sort();
const FILE = { name: "d/f", content: "text" };

test("files and directories, with their modes, but for set-user-id and for writing by others", async () => {
  await unpacked([
    { name: "d/", type: "directory", mode: 0o777 },
    { name: "d/program", mode: 0o6755, content: "x" },
    { name: "d/data", mode: 0o666, content: "y" },
    { name: "new/deep/file", mode: 0o700, content: "z" },
  ]);
  const mode = (path: string): string => (lstatSync(join(into, path)).mode & 0o7777).toString(8);
  expect(["d", "d/program", "d/data", "new/deep/file"].map(mode)).toEqual(["755", "755", "644", "700"]);
  expect(readFileSync(join(into, "new/deep/file"), "utf8")).toBe("z");
});

test("links that stay inside", async () => {
  await unpacked([
    FILE,
    { name: "d/soft", type: "symlink", linkname: "../d/f" },
    { name: "d/softer", type: "symlink", linkname: "soft" },
    { name: "hard", type: "link", linkname: "d/f" },
  ]);
  for (const path of ["d/soft", "d/softer", "hard"]) expect(readFileSync(join(into, path), "utf8")).toBe("text");
});

describe("what is refused, with nothing outside", () => {
  test.each<[string, TarballEntry[], string]>([
    ["..", [{ name: "../evil", content: "x" }], '"../evil" leads out of it'],
    [".. in between", [{ name: "d/../../evil", content: "x" }], "leads out of it"],
    [".. that comes back", [{ name: "d/../f", content: "x" }], "leads out of it"],
    ["an absolute path", [{ name: "/tmp/evil", content: "x" }], '"/tmp/evil" is an absolute path'],
    [
      "a link out",
      [{ name: "l", type: "symlink", linkname: "../../evil" }],
      'the link "l" leads out of it, to "../../evil"',
    ],
    ["an absolute link", [{ name: "l", type: "symlink", linkname: "/etc/passwd" }], "leads out of it"],
    ["a hard link out", [{ name: "l", type: "link", linkname: "../../a.tgz" }], "leads out of it"],
    ["an absolute hard link", [{ name: "l", type: "link", linkname: "/etc/passwd" }], "is an absolute path"],
    [
      "a hard link to a link",
      [FILE, { name: "s", type: "symlink", linkname: "d/f" }, { name: "h", type: "link", linkname: "s" }],
      "is to no file in it",
    ],
    [
      "a file through a link",
      [FILE, { name: "l", type: "symlink", linkname: "d" }, { name: "l/evil", content: "x" }],
      "is a directory and something else",
    ],
    [
      "links of which each alone stays inside",
      [
        { name: "p/q/f", content: "x" },
        { name: "p/q/up", type: "symlink", linkname: ".." },
        { name: "p/q/out", type: "symlink", linkname: "up/../.." },
      ],
      'the link "p/q/out" leads out of it, or to nothing',
    ],
    ["a link to nothing", [{ name: "l", type: "symlink", linkname: "nothing" }], "leads out of it, or to nothing"],
    ["a link in a circle", [{ name: "l", type: "symlink", linkname: "l" }], "leads out of it, or to nothing"],
    ["a device", [{ name: "d/null", type: "character-device", devmajor: 1, devminor: 3 }], "is a character-device"],
    ["a FIFO", [{ name: "d/fifo", type: "fifo" }], "is a fifo"],
    ["a file twice", [FILE, FILE], '"d/f" is twice in it'],
    ["a file in place of a directory", [FILE, { name: "d", content: "x" }], '"d" is twice in it'],
    ["a name that is too long", [{ name: "n".repeat(limits.name + 1), content: "" }], "a path that it can't have"],
    ["nothing", [], "there is nothing in it"],
  ])("%s", async (_what, entries, why) => {
    await expect(unpacked(entries)).rejects.toThrow(`a.tgz is not unpacked: `);
    await expect(unpack({ name: "a.tgz", file }, mkdtempSync(join(top, "again-")), never)).rejects.toThrow(why);
    expect(outside().filter((name) => !name.startsWith("again-"))).toEqual(["a.tgz", "deep", "into"]);
  });

  test("a bomb: a header that announces more than there may be", async () => {
    const tar = Buffer.from(await gunzipped([{ name: "big", content: "x" }]));
    tar.write(`${(limits.bytes + 1).toString(8).padStart(11, "0")} `, 124);
    fixChecksum(tar);
    writeFileSync(file, gzipSync(tar));
    await expect(unpack({ name: "a.tgz", file }, into, never)).rejects.toThrow("it would take more than 4 GiB");
  });

  test("a bomb: more entries than there may be", async () => {
    const entries = Array.from({ length: limits.entries + 1 }, (_, i) => ({
      name: `f${i}`,
      type: "directory" as const,
    }));
    writeFileSync(file, await tarball(entries));
    await expect(listArchive({ name: "a.tgz", file }, never)).rejects.toThrow("it has more than 1000 entries");
  });

  test.each([
    ["gzip data that are cut off", (whole: Buffer) => whole.subarray(0, -20), "its gzip data is damaged or cut off"],
    [
      "gzip data with a wrong byte",
      (whole: Buffer) => Buffer.from(whole.map((byte, i) => (i === 40 ? byte ^ 0xff : byte))),
      "damaged",
    ],
    ["no archive", () => Buffer.from("<html>not found</html>".repeat(100)), "it is no tar archive, or damaged"],
    ["no archive, gzipped", () => gzipSync("text".repeat(1000)), "it is no tar archive, or damaged"],
    ["an empty file", () => Buffer.alloc(0), "there is nothing in it"],
  ])("%s", async (_what, spoil, why) => {
    writeFileSync(
      file,
      spoil(
        await tarball([{ name: "f", content: Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7919) % 251)) }]),
      ),
    );
    await expect(unpack({ name: "a.tgz", file }, into, never)).rejects.toThrow(why);
  });
});

test("a list of what is in it, under the same rules, with nothing written", async () => {
  writeFileSync(file, await tarball([{ name: "d/", type: "directory" }, FILE]));
  expect(await listArchive({ name: "a.tgz", file }, never)).toEqual(["d/f"]);
  writeFileSync(file, await tarball([{ name: "/f", content: "" }]));
  await expect(listArchive({ name: "a.tgz", file }, never)).rejects.toThrow("absolute path");
  expect(readdirSync(into)).toEqual([]);
});

async function gunzipped(entries: readonly TarballEntry[]): Promise<Buffer> {
  const { gunzipSync } = await import("node:zlib");
  return gunzipSync(await tarball(entries));
}

/** The sum of a header's bytes, with blanks in its own place. */
function fixChecksum(tar: Buffer): void {
  tar.fill(" ", 148, 156);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
}
