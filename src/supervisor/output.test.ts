import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Output } from "./output.ts";

const wire = vi.hoisted(() => ({ isWritable: true, passedOn: "" }));
vi.mock("../native/calls.ts", () => ({ pollWritable: () => wire.isWritable }));
vi.mock("node:fs", async (original) => {
  const actual = await original<typeof import("node:fs")>();
  const writeSync = (fd: number, bytes: Buffer, offset = 0, length = bytes.length): number => {
    if (fd !== 2) return actual.writeSync(fd, bytes);
    wire.passedOn += bytes.toString("utf8", offset, offset + length);
    return length;
  };
  return { ...actual, writeSync };
});

let directory: string;
let target: number;
let output: Output;

beforeEach(async () => {
  Object.assign(wire, { isWritable: true, passedOn: "" });
  directory = mkdtempSync(join(tmpdir(), "output-"));
  execFileSync("mkfifo", [join(directory, "fifo")]);
  const reading = openSync(join(directory, "fifo"), "r+");
  target = openSync(join(directory, "fifo"), "w");
  output = new Output(reading);
  await output.attach();
});

afterEach(async () => {
  await output.drain();
  closeSync(target);
  rmSync(directory, { recursive: true });
});

/** The target writes to its standard error. */
const writes = (text: string): number => writeSync(target, Buffer.from(text));

test("what the target writes is passed on as it is, and the last 20 lines are kept", async () => {
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i} é`);
  writes(`${lines.join("\n")}\n`);
  await vi.waitFor(() => expect(wire.passedOn).toBe(`${lines.join("\n")}\n`));
  expect(output.lastLines).toEqual(lines.slice(-20));
});

test("a line without an end counts, empty ones do not", async () => {
  writes("one\n\ntw");
  await vi.waitFor(() => expect(output.lastLines).toEqual(["one", "tw"]));
  writes("o\n");
  await vi.waitFor(() => expect(output.lastLines).toEqual(["one", "two"]));
});

test("a reader that is behind gets everything later", async () => {
  wire.isWritable = false;
  writes("early\n");
  await vi.waitFor(() => expect(output.lastLines).toEqual(["early"]));
  expect(wire.passedOn).toBe("");
  wire.isWritable = true;
  await vi.waitFor(() => expect(wire.passedOn).toBe("early\n"));
});

test("what is still in the pipe at the end is passed on", async () => {
  writes("last words\n");
  await output.drain();
  expect([output.lastLines, wire.passedOn]).toEqual([["last words"], "last words\n"]);
});
