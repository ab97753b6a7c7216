import { type Attribute, be32, cString, encodeMessages, Flag, type NetlinkMessage } from "./netlink-messages.ts";

// Requests to nftables (linux/netfilter/nf_tables.h), as far as rlkit needs them. Keys and numbers are the header's.

const SUBSYSTEM = 10;
const TABLE = 1; // the attribute that names the table in every request
const HOOKS = { prerouting: 0, output: 3 } as const;
const MANGLE = -150; // priority
const REGISTER = be32(1); // one is enough: a value is loaded, and used by the next expression

/** NFPROTO_*: the family that a table is for. */
export type TableFamily = "ip" | "ip6";

/** One request of a batch, without the table's name. */
interface Request {
  type: number;
  flags?: number;
  attributes: readonly Attribute[];
}

export const newTable: Request = { type: 0, attributes: [[2, be32(0)]] };
export const deleteTable: Request = { type: 2, attributes: [] };

/** A base chain of type filter, named after its hook, with the priority of iptables' mangle table. */
export function mangleChain(hook: keyof typeof HOOKS): Request {
  const where: readonly Attribute[] = [
    [1, be32(HOOKS[hook])],
    [2, be32(MANGLE)],
  ];
  return {
    type: 3,
    flags: Flag.create,
    attributes: [
      [3, cString(hook)],
      [7, cString("filter")],
      [4, where],
    ],
  };
}

/** A rule at the end of a chain: its expressions, of which each has to match for the next one to be looked at. */
export function rule(chain: string, expressions: readonly Attribute[]): Request {
  return {
    type: 6,
    flags: Flag.create | Flag.append,
    attributes: [
      [2, cString(chain)],
      [4, expressions],
    ],
  };
}

/** Requests about one table that the kernel carries out together or not at all. */
export function batch(family: TableFamily, table: string, requests: readonly Request[]): Buffer {
  const toAll = Buffer.from([0, 0, 0, SUBSYSTEM]); // struct nfgenmsg: family, version, and in network order the subsystem
  const toFamily = Buffer.from([family === "ip" ? 2 : 10, 0, 0, 0]);
  const messages = requests.map(
    ({ type, flags = 0, attributes }): NetlinkMessage => ({
      type: (SUBSYSTEM << 8) | type,
      flags: Flag.request | Flag.ack | flags,
      body: toFamily,
      attributes: [[TABLE, cString(table)], ...attributes],
    }),
  );
  const begin = { type: 16, flags: Flag.request, body: toAll };
  return encodeMessages([begin, ...messages, { ...begin, type: 17 }]);
}

/** What a packet (meta) or its connection (ct) carries. `load` puts it into the register, `set` writes it from there. */
const key = (number: number): Attribute => [2, be32(number)];
export const meta = {
  mark: 3,
  protocol: 16,
  load: (number: number): Attribute => expression("meta", key(number), [1, REGISTER]),
  set: (number: number): Attribute => expression("meta", key(number), [3, REGISTER]),
} as const;
export const ct = {
  mark: 3,
  load: (number: number): Attribute => expression("ct", key(number), [1, REGISTER]),
  set: (number: number): Attribute => expression("ct", key(number), [4, REGISTER]),
} as const;

/** Matches if the register holds the value, which is in the order that the loaded key has. */
export const equals = (value: Buffer): Attribute => expression("cmp", [1, REGISTER], [2, be32(0)], [3, [[1, value]]]);

/** Puts a value into the register. */
export const immediate = (value: Buffer): Attribute => expression("immediate", [1, REGISTER], [2, [[1, value]]]);

function expression(name: string, ...data: Attribute[]): Attribute {
  return [
    1,
    [
      [1, cString(name)],
      [2, data],
    ],
  ];
}
