import { ByteWriter } from "../native/bytes.ts";

// The frames of both control sockets, as native/protocol.h has them: u32 length of what follows, u8 type, u32 id, body.
const HEADER = 9;

/** A whole frame whose body `write` appends. */
export function frame(type: number, id: number, write: (body: ByteWriter) => void = () => {}): Buffer {
  const bytes = new ByteWriter().u32(0).u8(type).u32(id);
  write(bytes);
  const buffer = bytes.finish();
  buffer.writeUInt32LE(buffer.length - 4, 0);
  return buffer;
}

/** Reads the body of one frame. */
export type Decode<Message> = (type: number, id: number, body: Buffer) => Message;

/** Cuts a byte stream into messages: what is complete, and the bytes that belong to the next one. */
export function cutFrames<Message>(bytes: Buffer, decode: Decode<Message>): { messages: Message[]; rest: Buffer } {
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

/** The results of a request: one value, or -errno, for each thing that was asked. */
export interface Reply {
  type: "reply";
  id: number;
  results: number[];
}

/** Reads the body of a REPLY. */
export function decodeReply(id: number, body: Buffer): Reply {
  return {
    type: "reply",
    id,
    results: Array.from({ length: body.readUInt16LE(0) }, (_, i) => body.readInt32LE(2 + 4 * i)),
  };
}
