import { ByteWriter } from "../native/bytes.ts";
import { fieldTypes, type Instruction, operationNames } from "./operations.ts";

// The frames of the control socket between the supervisor and `rlkit-ns init`; native/protocol.h is the other side.
const RUN = 1;
const SPAWN = 2;
const SIGNAL = 3;
const REPLY = 16;
const EXITED = 17;
const MAY_FAIL = 1;
const IF_FAILED = 2;
const HEADER = 9; // u32 length, u8 type, u32 id

/** A process for init to start inside the namespaces. */
export interface InnerSpawn {
  argv: readonly string[];
  env: readonly string[];
  cwd?: string;
  /** Signals that somebody sends to init itself are relayed to this process. */
  target?: boolean;
  newSession?: boolean;
  /** Soft RLIMIT_NOFILE; -1 keeps init's. */
  openFiles?: number;
}

/** What init sends: the results of a request, or the end of a process that it had spawned. */
export type Message =
  | { type: "reply"; id: number; results: number[] }
  | { type: "exited"; pid: number; status: number };

function frame(type: number, id: number, body: (bytes: ByteWriter) => void): Buffer {
  const bytes = new ByteWriter().u32(0).u8(type).u32(id);
  body(bytes);
  const buffer = bytes.finish();
  buffer.writeUInt32LE(buffer.length - 4, 0);
  return buffer;
}

/** "Carry out these operations, in order". */
export function encodeRun(id: number, instructions: readonly Instruction[]): Buffer {
  return frame(RUN, id, (bytes) => {
    bytes.u16(instructions.length);
    for (const { op, mayFail, ifFailed } of instructions) {
      const [name, ...fields] = op;
      bytes.u16(operationNames.indexOf(name) + 1);
      bytes.u8((mayFail ? MAY_FAIL : 0) | (ifFailed ? IF_FAILED : 0));
      for (const [i, type] of [...fieldTypes(name)].entries()) {
        if (type === "s") bytes.str(String(fields[i]));
        else if (type === "l") bytes.u64(Number(fields[i]));
        else bytes.i32(Number(fields[i]) | 0); // CLONE_NEWNET and friends fit; | 0 keeps the bits of the highest one
      }
    }
  });
}

/** "Start this process inside". */
export function encodeSpawn(id: number, spec: InnerSpawn): Buffer {
  return frame(SPAWN, id, (bytes) => {
    bytes.u8((spec.newSession ? 1 : 0) | (spec.target ? 2 : 0));
    bytes.i32(spec.openFiles ?? -1);
    bytes
      .str(spec.cwd ?? "")
      .strs(spec.argv)
      .strs(spec.env);
  });
}

/** "Send this signal to a process that you spawned". */
export function encodeSignal(id: number, pid: number, signo: number): Buffer {
  return frame(SIGNAL, id, (bytes) => bytes.i32(pid).i32(signo));
}

/** Cuts a byte stream into messages: what is complete, and the bytes that belong to the next one. */
export function decodeMessages(bytes: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let at = 0;
  while (bytes.length - at >= HEADER) {
    const end = at + 4 + bytes.readUInt32LE(at);
    if (bytes.length < end) break;
    messages.push(decode(bytes.readUInt8(at + 4), bytes.readUInt32LE(at + 5), bytes.subarray(at + HEADER, end)));
    at = end;
  }
  return { messages, rest: bytes.subarray(at) };
}

function decode(type: number, id: number, body: Buffer): Message {
  if (type === EXITED) return { type: "exited", pid: body.readInt32LE(0), status: body.readInt32LE(4) };
  if (type !== REPLY) throw new Error(`rlkit-ns sent a frame of unknown type ${type}`);
  const results = Array.from({ length: body.readUInt16LE(0) }, (_, i) => body.readInt32LE(2 + 4 * i));
  return { type: "reply", id, results };
}
