/** An IP address. IPv4 in IPv6's clothes (::ffff:192.0.2.1) is IPv4, as it is for the kernel. */
export interface Address {
  family: 4 | 6;
  /** 4 or 16 of them. */
  bytes: readonly number[];
  /** The interface of a link-local IPv6 address. */
  zone: string | undefined;
}

function parse4(text: string): number[] | undefined {
  const parts = text.split(".");
  // No leading zeros: some programs read them as octal.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

/** The bytes of groups between colons; the last group may be an IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (index === groups.length - 1 && group.includes(".")) {
      const last = parse4(group);
      if (last === undefined) return undefined;
      bytes.push(...last);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else return undefined;
  }
  return bytes;
}

function parse6(text: string): number[] | undefined {
  const [first = "", second, ...more] = text.split("::");
  const [head, tail] = [parseGroups(first), parseGroups(second ?? "")];
  if (head === undefined || tail === undefined || more.length > 0) return undefined;
  if (second === undefined) return head.length === 16 ? head : undefined;
  // An IPv4 address may stand at the very end only, and :: stands for at least one group.
  if (first.includes(".") || head.length + tail.length > 14) return undefined;
  return [...head, ...Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255].join();

/** The bytes of an address as IPv4 if they are such a one in IPv6. */
export function fromBytes(bytes: readonly number[], zone?: string): Address {
  if (bytes.length === 16 && bytes.slice(0, 12).join() === MAPPED) return fromBytes(bytes.slice(12));
  return { family: bytes.length === 4 ? 4 : 6, bytes, zone };
}

/**
 * Reads an IPv4 or IPv6 address; undefined for anything else, names of hosts included. node:net would do the same, and costs
 * 3 ms to load.
 */
export function parseAddress(text: string): Address | undefined {
  const [, address = "", zone] = /^([^%]*)(?:%([^\s%/\]]{1,15}))?$/.exec(text) ?? [];
  const four = zone === undefined ? parse4(address) : undefined;
  const bytes = four ?? (address.includes(":") ? parse6(address) : undefined);
  return bytes === undefined ? undefined : fromBytes(bytes, zone);
}

/** 0.0.0.0 or ::, which mean every address. */
export const isWildcard = ({ bytes }: Address): boolean => bytes.every((byte) => byte === 0);

/** 127.0.0.0/8 or ::1, which no other host can reach. */
export const isLoopback = ({ family, bytes }: Address): boolean =>
  family === 4 ? bytes[0] === 127 : bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));

/** IPv4 in dots; undefined for IPv6. */
export const dotted = ({ family, bytes }: Address): string | undefined => (family === 4 ? bytes.join(".") : undefined);
