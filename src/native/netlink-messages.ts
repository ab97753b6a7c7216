/** An attribute: its type, and its value or the attributes nested in it. */
export type Attribute = readonly [type: number, value: Buffer | readonly Attribute[]];

/** A message: struct nlmsghdr's type and flags, the struct that the protocol has behind it, and attributes. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  body: Buffer;
  attributes?: readonly Attribute[];
}

/** struct nlmsghdr's flags (netlink(7)). NEW* requests: make it, refuse if it exists, put it in place of what exists, at the end. */
export const Flag = { request: 1, ack: 4, replace: 0x100, exclusive: 0x200, create: 0x400, append: 0x800 } as const;

const NESTED = 0x8000;
const HEADER = 16;
const ATTRIBUTE_HEADER = 4;

/** A 32-bit integer in the machine's order: little-endian wherever rlkit runs. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** A 32-bit integer in network order, as nftables has them. Negative ones as their two's complement. */
export const be32 = (value: number): Buffer => u32(value).reverse();

/** A string with the NUL at its end. */
export const cString = (text: string): Buffer => Buffer.from(`${text}\0`);

/** Messages back to back as netlink(7) has them, numbered from 1. */
export function encodeMessages(messages: readonly NetlinkMessage[]): Buffer {
  return Buffer.concat(messages.map((message, i) => encodeMessage(message, i + 1)));
}

function encodeMessage({ type, flags, body, attributes = [] }: NetlinkMessage, sequence: number): Buffer {
  const head = Buffer.alloc(HEADER);
  const rest = Buffer.concat([aligned(body), ...attributes.map(encodeAttribute)]);
  head.writeUInt32LE(HEADER + rest.length, 0);
  head.writeUInt16LE(type, 4);
  head.writeUInt16LE(flags, 6);
  head.writeUInt32LE(sequence, 8); // the port id behind it stays 0: the kernel fills it in
  return Buffer.concat([head, rest]);
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const nested = !Buffer.isBuffer(value);
  const payload = nested ? Buffer.concat(value.map(encodeAttribute)) : value;
  const head = Buffer.alloc(ATTRIBUTE_HEADER);
  head.writeUInt16LE(ATTRIBUTE_HEADER + payload.length, 0); // without the padding
  head.writeUInt16LE(nested ? type | NESTED : type, 2);
  return Buffer.concat([head, aligned(payload)]);
}

/** Attributes and messages begin at multiples of 4. */
function aligned(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], (bytes.length + 3) & ~3);
}
