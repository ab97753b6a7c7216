import { decodeReply, frame, type Reply } from "../plan/frames.ts";
import type { PortCounters } from "./driver.ts";

// The frames of the control socket between the supervisor and `rlkit-ns portd`; native/protocol.h is the other side.
const LISTEN = 8;
const CLOSE = 9;
const COUNT = 10;
const HOLD = 11;
const REPLY = 16;
const COUNTS = 18;
const KINDS = { stream: 1, datagram: 2 } as const;
const KEEP_CLIENT = 1;

/** A port for portd to serve; its bound socket goes with the frame. */
export interface ListenRequest {
  /** The number by which CLOSE and the counters know it. */
  port: number;
  kind: keyof typeof KINDS;
  /** The target is to see the client's own address (streams only). */
  keepClient: boolean;
  /** Milliseconds for which a connection that the target refuses is tried again. */
  patience: number;
  /** IPv4 or IPv6 address inside, numeric. */
  target: string;
  targetPort: number;
  /** The address that clients from elsewhere come from where theirs can't be kept; "" to leave it to the kernel. */
  standIn: string;
}

/** What portd sends: the result of LISTEN or CLOSE, or the counters of all ports. */
export type PortdMessage = Reply | { type: "counts"; id: number; counters: Map<number, PortCounters> };

/** "Serve this port". */
export function encodeListen(id: number, request: ListenRequest): Buffer {
  return frame(LISTEN, id, (bytes) =>
    bytes
      .u32(request.port)
      .u8(KINDS[request.kind])
      .u8(request.keepClient ? KEEP_CLIENT : 0)
      .u32(request.patience)
      .str(request.target)
      .u16(request.targetPort)
      .str(request.standIn),
  );
}

/** "End this port and all its connections". */
export const encodeClose = (id: number, port: number): Buffer => frame(CLOSE, id, (bytes) => bytes.u32(port));

/** "Tell the counters of all ports". */
export const encodeCount = (id: number): Buffer => frame(COUNT, id);

/** "Try connections that the target refuses again for so many milliseconds, in place of the ports' patience"; 0 ends that. */
export const encodeHold = (id: number, milliseconds: number): Buffer =>
  frame(HOLD, id, (bytes) => bytes.u32(milliseconds));

/** Reads one frame from portd. */
export function decodePortd(type: number, id: number, body: Buffer): PortdMessage {
  if (type === REPLY) return decodeReply(id, body);
  if (type !== COUNTS) throw new Error(`rlkit-ns portd sent a frame of unknown type ${type}`);
  const counters = new Map<number, PortCounters>();
  const u64 = (at: number): number => Number(body.readBigUInt64LE(at));
  const SIZE = 4 + 4 + 5 * 8;
  for (let i = 0, at = 4; i < body.readUInt32LE(0); i += 1, at += SIZE) {
    counters.set(body.readUInt32LE(at), {
      open: body.readUInt32LE(at + 4),
      accepted: u64(at + 8),
      bytesIn: u64(at + 16),
      bytesOut: u64(at + 24),
      failed: u64(at + 32),
      plain: u64(at + 40),
    });
  }
  return { type: "counts", id, counters };
}
