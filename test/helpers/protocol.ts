import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeRun, encodeSignal, encodeSpawn, type InnerSpawn, type Message } from "../../src/plan/encoding.ts";
import { fieldTypes, type Instruction, type Operation, operationNames } from "../../src/plan/operations.ts";

/** A line of protocol-vectors.tsv: a frame, and what it says as text. */
interface Vector {
  readonly name: string;
  readonly bytes: Buffer;
  readonly text: string;
}

/** The vectors that the C tests hold native/protocol.h against. */
export function vectors(): Vector[] {
  const file = join(import.meta.dirname, "..", "fixtures", "protocol-vectors.tsv");
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [name = "", hex = "", text = ""] = line.split("\t");
    return { name, bytes: Buffer.from(hex, "hex"), text };
  });
}

/** A request as its text says it: `run id=1 unlink("/a")? mkdir("/b",448)`, `spawn id=8 flags=2 …`, `signal id=9 …`. */
export function encodeText(text: string): Buffer {
  const [kind = ""] = text.split(" ", 1);
  const field = (name: string): string =>
    new RegExp(` ${name}=("(?:[^"\\\\]|\\\\.)*"|\\[.*?\\]|\\S+)`).exec(text)?.[1] ?? "";
  const id = Number(field("id"));
  if (kind === "run") return encodeRun(id, instructions(text));
  if (kind === "signal") return encodeSignal(id, Number(field("pid")), Number(field("signo")));
  if (kind !== "spawn") throw new Error(`${kind} is no request`);
  const flags = Number(field("flags"));
  const spec: InnerSpawn = {
    argv: JSON.parse(field("argv")),
    env: JSON.parse(field("env")),
    cwd: JSON.parse(field("cwd")),
    newSession: (flags & 1) !== 0,
    target: (flags & 2) !== 0,
    openFiles: Number(field("nofile")),
  };
  return encodeSpawn(id, spec);
}

/** `name(field,…)` with `?` for "may fail" and `!` for "only if the one before failed". */
function instructions(text: string): Instruction[] {
  const calls = text.matchAll(/ ([a-z_0-9]+)\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)(\??)(!?)/g);
  return Array.from(calls, ([, name = "", fields = "", mayFail, ifFailed]) => ({
    op: [name, ...JSON.parse(`[${fields}]`)] as unknown as Operation,
    mayFail: mayFail !== "",
    ifFailed: ifFailed !== "",
  }));
}

/** A message of init as its text says it. */
export function messageOf(text: string): Message {
  const number = (name: string) => Number(new RegExp(` ${name}=(-?\\d+)`).exec(text)?.[1]);
  if (text.startsWith("exited ")) return { type: "exited", pid: number("pid"), status: number("wstatus") };
  const results = /results=(\[.*\])$/.exec(text)?.[1] ?? "";
  return { type: "reply", id: number("id"), results: JSON.parse(results) };
}

/** Reads a RUN frame as init does; throws when it is not exactly one. */
export function decodeRun(frame: Buffer): { id: number; instructions: Required<Instruction>[] } {
  let at = 0;
  const take = (size: number): Buffer => {
    at += size;
    if (at > frame.length) throw new Error(`the frame ends within a field, at byte ${frame.length}`);
    return frame.subarray(at - size, at);
  };
  const read = {
    s: () => take(take(4).readUInt32LE()).toString("utf8"),
    i: () => take(4).readInt32LE(),
    l: () => Number(take(8).readBigUInt64LE()),
  };
  const length = take(4).readUInt32LE();
  if (length !== frame.length - 4) throw new Error(`its length is ${frame.length - 4}, it says ${length}`);
  if (take(1).readUInt8() !== 1) throw new Error("it is not a RUN frame");
  const id = take(4).readUInt32LE();
  const count = take(2).readUInt16LE();
  const decoded = Array.from({ length: count }, () => {
    const name = operationNames[take(2).readUInt16LE() - 1];
    if (name === undefined) throw new Error("there is no such operation");
    const flags = take(1).readUInt8();
    const fields = [...fieldTypes(name)].map((type) => read[type as keyof typeof read]());
    const op = [name, ...fields] as unknown as Operation;
    return { op, mayFail: (flags & 1) !== 0, ifFailed: (flags & 2) !== 0 };
  });
  if (at !== frame.length) throw new Error(`${frame.length - at} bytes follow the last operation`);
  return { id, instructions: decoded };
}
