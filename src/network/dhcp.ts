import { ipv4 } from "./driver.ts";

/** What a DHCP server gives: IPv4 addresses as text, times in seconds. */
export interface Terms {
  address: string;
  prefix: number;
  router: string | undefined;
  nameServers: readonly string[];
  server: string;
  lease: number;
}

/** A message that a client sends. */
export interface Question {
  type: "discover" | "request";
  /** Tells the answers to this exchange from others. */
  id: number;
  mac: Buffer;
  /** Seconds since the exchange began. */
  seconds: number;
  /** The client's address, when it has one that is to be renewed. */
  renew?: string;
  /** The offer that is taken up: its address and its server. */
  accept?: { address: string; server: string };
}

/** An answer to one of those. */
export type Answer = { type: "offer" | "ack"; terms: Terms } | { type: "nak" };

const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const ETHERNET = 1;
const COOKIE = 0x63825363;
/** Asks for answers to everybody: to an address that it has not yet, the kernel delivers none. */
const BROADCAST = 0x8000;
const FIXED_SIZE = 240; // bytes up to the options, the cookie included
const MESSAGE_SIZE = 300; // of BOOTP (RFC 1542): some relays drop smaller ones

/** The options' numbers (RFC 2132). */
const Option = {
  pad: 0,
  mask: 1,
  router: 3,
  dns: 6,
  address: 50,
  lease: 51,
  type: 53,
  server: 54,
  wanted: 55,
  end: 255,
};
const types = { discover: 1, request: 3 } as const;
const answers: Readonly<Record<number, Answer["type"]>> = { 2: "offer", 5: "ack", 6: "nak" };

const DEFAULT_LEASE = 3600; // seconds, where a server names none

const bytesOf = (address: string): number[] => address.split(".").map(Number);

/** A message to a server (RFC 2131). */
export function encodeQuestion({ type, id, mac, seconds, renew, accept }: Question): Buffer {
  const message = Buffer.alloc(FIXED_SIZE);
  message.writeUInt8(BOOTREQUEST, 0);
  message.writeUInt8(ETHERNET, 1);
  message.writeUInt8(mac.length, 2);
  message.writeUInt32BE(id, 4);
  message.writeUInt16BE(Math.min(seconds, 0xffff), 8);
  message.writeUInt16BE(BROADCAST, 10);
  if (renew !== undefined) message.set(bytesOf(renew), 12);
  message.set(mac, 28);
  message.writeUInt32BE(COOKIE, 236);
  const options = [
    [Option.type, types[type]],
    ...(accept === undefined
      ? []
      : [
          [Option.address, ...bytesOf(accept.address)],
          [Option.server, ...bytesOf(accept.server)],
        ]),
    [Option.wanted, Option.mask, Option.router, Option.dns, Option.lease],
  ].flatMap(([code = 0, ...value]) => [code, value.length, ...value]);
  const whole = Buffer.concat([message, Buffer.from([...options, Option.end])]);
  return Buffer.concat([whole, Buffer.alloc(Math.max(0, MESSAGE_SIZE - whole.length))]);
}

/** The answer in a datagram; undefined if it is none to this question, or none at all. */
export function decodeAnswer(datagram: Buffer, { id, mac }: Pick<Question, "id" | "mac">): Answer | undefined {
  if (datagram.length < FIXED_SIZE || datagram.readUInt8(0) !== BOOTREPLY) return undefined;
  if (datagram.readUInt32BE(4) !== id || datagram.readUInt32BE(236) !== COOKIE) return undefined;
  if (!datagram.subarray(28, 28 + mac.length).equals(mac)) return undefined;
  const options = optionsOf(datagram.subarray(FIXED_SIZE));
  const type = answers[options.get(Option.type)?.[0] ?? 0];
  if (type === undefined) return undefined;
  if (type === "nak") return { type };
  const terms = termsOf(datagram, options);
  return terms && { type, terms };
}

/** The options by their numbers; one that goes on beyond the datagram's end is left out. */
function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt8(at);
    if (code === Option.end) break;
    if (code === Option.pad) {
      at += 1;
      continue;
    }
    const length = bytes[at + 1] ?? Number.POSITIVE_INFINITY;
    const value = bytes.subarray(at + 2, at + 2 + length);
    at += 2 + length;
    if (value.length === length && !found.has(code)) found.set(code, value);
  }
  return found;
}

/** What the server gives; undefined where it gives no address, or does not say who it is. */
function termsOf(datagram: Buffer, options: Map<number, Buffer>): Terms | undefined {
  const addresses = (code: number): string[] => {
    const value = options.get(code) ?? Buffer.alloc(0);
    return Array.from({ length: Math.floor(value.length / 4) }, (_, i) => ipv4(value.readUInt32BE(4 * i)));
  };
  const number = datagram.readUInt32BE(16);
  const [server] = addresses(Option.server);
  if (number === 0 || server === undefined) return undefined;
  const mask = options.get(Option.mask);
  const lease = options.get(Option.lease);
  return {
    address: ipv4(number),
    prefix: mask?.length === 4 ? mask.readUInt32BE().toString(2).replaceAll("0", "").length : 24,
    router: addresses(Option.router)[0],
    nameServers: addresses(Option.dns),
    server,
    lease: lease?.length === 4 ? lease.readUInt32BE() : DEFAULT_LEASE,
  };
}
