import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  encodeRun,
  encodeSignal,
  encodeSpawn,
  encodeWatch,
  type InnerSpawn,
  type Message,
} from "../../src/plan/encoding.ts";
import {
  fieldTypes,
  type Instruction,
  type Operation,
  type OperationName,
  operationNames,
} from "../../src/plan/operations.ts";
import {
  encodeClose,
  encodeCount,
  encodeHold,
  encodeListen,
  type PortdMessage,
} from "../../src/ports/portd-encoding.ts";

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

/** A field of a text, `name="a string"`, `name=[…]` or `name=7`. */
function fieldOf(text: string, name: string): string {
  return new RegExp(` ${name}=("(?:[^"\\\\]|\\\\.)*"|\\[.*?\\]|\\S+)`).exec(text)?.[1] ?? "";
}

const numberOf = (text: string, name: string): number => Number(fieldOf(text, name));

/** A request as its text says it: `run id=1 unlink("/a")? mkdir("/b",448)`, `spawn id=8 flags=2 …`, `close id=33 port=7`. */
export function encodeText(text: string): Buffer {
  const [kind = ""] = text.split(" ", 1);
  const id = numberOf(text, "id");
  switch (kind) {
    case "run":
      return encodeRun(id, instructions(text));
    case "spawn":
      return encodeSpawn(id, spawnOf(text));
    case "signal":
      return encodeSignal(id, numberOf(text, "pid"), numberOf(text, "signo"));
    case "watch":
      return encodeWatch(id);
    case "hold":
      return encodeHold(id, numberOf(text, "milliseconds"));
    case "listen":
      return encodeListen(id, {
        port: numberOf(text, "port"),
        kind: numberOf(text, "kind") === 1 ? "stream" : "datagram",
        keepClient: (numberOf(text, "flags") & 1) !== 0,
        patience: numberOf(text, "patience"),
        target: JSON.parse(fieldOf(text, "target")),
        targetPort: numberOf(text, "targetPort"),
        standIn: JSON.parse(fieldOf(text, "standIn")),
      });
    case "close":
      return encodeClose(id, numberOf(text, "port"));
    case "count":
      return encodeCount(id);
    default:
      throw new Error(`${kind} is no request`);
  }
}

function spawnOf(text: string): InnerSpawn {
  const flags = numberOf(text, "flags");
  return {
    argv: JSON.parse(fieldOf(text, "argv")),
    env: JSON.parse(fieldOf(text, "env")),
    cwd: JSON.parse(fieldOf(text, "cwd")),
    newSession: (flags & 1) !== 0,
    target: (flags & 2) !== 0,
    listenPid: (flags & 4) !== 0,
    inNetwork: (flags & 8) !== 0,
    fds: Array.from({ length: numberOf(text, "fds") }, (_, i) => i),
    openFiles: numberOf(text, "nofile"),
  };
}

/** `name(field,…)` with `?` for "may fail" and `!` for "only if the one before failed". */
function instructions(text: string): Instruction[] {
  const calls = text.matchAll(/ ([a-z_0-9]+)\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)(\??)(!?)/g);
  return Array.from(calls, ([, name = "", fields = "", mayFail, ifFailed]) => ({
    op: operationOf(name as OperationName, JSON.parse(`[${fields}]`)),
    mayFail: mayFail !== "",
    ifFailed: ifFailed !== "",
  }));
}

/** Bytes are hex in quotes. */
function operationOf(name: OperationName, fields: readonly unknown[]): Operation {
  const types = fieldTypes(name);
  const values = fields.map((field, i) => (types[i] === "b" ? Buffer.from(String(field), "hex") : field));
  return [name, ...values] as unknown as Operation;
}

/** A message of portd as its text says it: `counts id=34 ports=[[port,open,accepted,in,out,failed,plain],…]`. */
export function portdMessageOf(text: string): PortdMessage {
  const counters = new Map();
  const ports: number[][] = JSON.parse(/ ports=(.*)$/.exec(text)?.[1] ?? "");
  for (const [port, open, accepted, bytesIn, bytesOut, failed, plain] of ports)
    counters.set(port, { open, accepted, bytesIn, bytesOut, failed, plain });
  return { type: "counts", id: numberOf(text, "id"), counters };
}

/** A message of init as its text says it. */
export function messageOf(text: string): Message {
  const number = (name: string) => numberOf(text, name);
  if (text.startsWith("exited ")) return { type: "exited", pid: number("pid"), status: number("wstatus") };
  if (text.startsWith("notified ")) return { type: "notified", message: JSON.parse(fieldOf(text, "message")) };
  return { type: "reply", id: number("id"), results: JSON.parse(fieldOf(text, "results")) };
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
    b: () => take(take(4).readUInt32LE()),
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
