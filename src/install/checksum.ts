import { createHash } from "node:crypto";
import { createReadStream, openSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { RlkitError } from "../errors.ts";
import { onDisk } from "./disk.ts";

/** The names of files with checksums that may lie beside a tarball of that name. */
export const sumFiles = (name: string): string[] => [`${name}.sha256`, `${name}.sha256sum`, "SHA256SUMS"];

/** The SHA-256 of a file, in hex. */
export async function sha256Of(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(
    onDisk("read", file, () => createReadStream(file, { fd: openSync(file, "r"), signal })),
    hash,
  );
  return hash.digest("hex");
}

/** The SHA-256 of a text, in hex. */
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/**
 * What a file of checksums says about a tarball: in sha256sum's format (`HEX  NAME`, `HEX *NAME`), BSD's, or a bare sum in a file of
 * its own. Undefined if it says nothing about it.
 */
export function sumIn(text: string, name: string): string | undefined {
  for (const line of text.split("\n").map((each) => each.trim())) {
    const [, sum, file] = /^([\da-f]{64})(?:\s+\*?(.+))?$/i.exec(line) ?? [];
    if (sum !== undefined && (file === undefined || baseName(file) === name)) return sum.toLowerCase();
    const [, bsdFile, bsdSum] = /^SHA256 \((.+)\) = ([\da-f]{64})$/i.exec(line) ?? [];
    if (bsdFile !== undefined && baseName(bsdFile) === name) return bsdSum?.toLowerCase();
  }
  return undefined;
}

const baseName = (path: string): string => path.replace(/^.*\//, "");

/** A sum that is expected, and who says so. */
export interface ExpectedSum {
  sha256: string;
  from: string;
}

/** Throws a CHECKSUM error if the sum is another one. */
export function checkSum(name: string, found: string, expected: ExpectedSum): void {
  if (found === expected.sha256) return;
  const text = `${name} has the wrong checksum: its SHA-256 is ${found}, and ${expected.from} says ${expected.sha256}`;
  throw new RlkitError("CHECKSUM", text, {
    hint: "nothing of it was installed; get it again, from a place that you trust",
  });
}
