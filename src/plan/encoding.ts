import { cutFrames, decodeReply, frame, type Reply } from "./frames.ts";
import { fieldTypes, type Instruction, operationNames } from "./operations.ts";

// The frames of the control socket between the supervisor and `rlkit-ns init`; native/protocol.h is the other side.
const RUN = 1;
const SPAWN = 2;
const SIGNAL = 3;
const WATCH = 4;
const REPLY = 16;
const EXITED = 17;
const NOTIFIED = 19;
const MAY_FAIL = 1;
const IF_FAILED = 2;

/** A process for init to start inside the namespaces. */
export interface InnerSpawn {
  argv: readonly string[];
  env: readonly string[];
  cwd?: string;
  /** Signals that somebody sends to init itself are relayed to this process. */
  target?: boolean;
  newSession?: boolean;
  /** Ten zeros in env's LISTEN_PID become its pid. */
  listenPid?: boolean;
  /** In the run's network namespace, where that is not init's own. */
  inNetwork?: boolean;
  /** Descriptors that become the process's 0, 1, 2, …; without any it gets init's own 0 to 2. They are sent along with the frame. */
  fds?: readonly number[];
  /** Soft RLIMIT_NOFILE; -1 keeps init's. */
  openFiles?: number;
}

/** What init sends: the results of a request, the end of a process that it had spawned, or what came to a socket that it watches. */
export type Message = Reply | { type: "exited"; pid: number; status: number } | { type: "notified"; message: string };

/** "Carry out these operations, in order". */
export function encodeRun(id: number, instructions: readonly Instruction[]): Buffer {
  return frame(RUN, id, (bytes) => {
    bytes.u16(instructions.length);
    for (const { op, mayFail, ifFailed } of instructions) {
      const [name, ...fields] = op;
      bytes.u16(operationNames.indexOf(name) + 1);
      bytes.u8((mayFail ? MAY_FAIL : 0) | (ifFailed ? IF_FAILED : 0));
      for (const [i, type] of [...fieldTypes(name)].entries()) {
        const field = fields[i];
        if (type === "s") bytes.str(String(field));
        else if (field instanceof Buffer) bytes.bytes(field);
        else if (type === "l") bytes.u64(Number(field));
        else bytes.i32(Number(field) | 0); // CLONE_NEWNET and friends fit; | 0 keeps the bits of the highest one
      }
    }
  });
}

/** "Start this process inside". */
export function encodeSpawn(id: number, spec: InnerSpawn): Buffer {
  return frame(SPAWN, id, (bytes) => {
    const { newSession, target, listenPid, inNetwork } = spec;
    bytes.u8((newSession ? 1 : 0) | (target ? 2 : 0) | (listenPid ? 4 : 0) | (inNetwork ? 8 : 0));
    bytes.u8(spec.fds?.length ?? 0);
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

/** "Pass on what comes to the datagram socket that comes along". */
export const encodeWatch = (id: number): Buffer => frame(WATCH, id, () => {});

/** Cuts what init sends into messages: what is complete, and the bytes that belong to the next one. */
export const decodeMessages = (bytes: Buffer): { messages: Message[]; rest: Buffer } => cutFrames(bytes, decodeInit);

/** Reads one frame from init. */
export function decodeInit(type: number, id: number, body: Buffer): Message {
  if (type === EXITED) return { type: "exited", pid: body.readInt32LE(0), status: body.readInt32LE(4) };
  if (type === NOTIFIED) return { type: "notified", message: body.toString("utf8", 4, 4 + body.readUInt32LE(0)) };
  if (type !== REPLY) throw new Error(`rlkit-ns sent a frame of unknown type ${type}`);
  return decodeReply(id, body);
}
