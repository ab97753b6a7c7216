import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type Address, fromBytes, isWildcard } from "./address.ts";

/** An address and port that somebody wanted to bind to. */
export interface Wanted {
  kind: "stream" | "datagram";
  /** Undefined: all addresses. */
  address: Address | undefined;
  /** The IP versions that `address` stands for. */
  families: readonly (4 | 6)[];
  port: number;
}

/** A line of /proc/net/tcp, tcp6, udp or udp6: a socket of this network namespace that has a local port. */
export interface SocketEntry {
  address: Address;
  port: number;
  /** TCP_LISTEN is 10, and so on; a datagram socket has 7. */
  state: number;
  uid: number;
  inode: number;
}

const LISTEN = 10;
const TIME_WAIT = 6; // holds nobody up

/** The bytes of an address as /proc/net writes it: words of 32 bits in the processor's order, which is little-endian. */
function parseHex(text: string): number[] {
  const words = text.match(/.{8}/g) ?? [];
  return words.flatMap((word) => [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16)));
}

/** Reads the text of /proc/net/tcp, tcp6, udp or udp6. */
export function parseSockets(text: string): SocketEntry[] {
  const line = /^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) \S+ \S+ \S+ +(\d+) +\d+ (\d+)/gm;
  return [...text.matchAll(line)].map(([, address = "", port = "", state = "", uid = "", inode = ""]) => ({
    address: fromBytes(parseHex(address)),
    port: Number.parseInt(port, 16),
    state: Number.parseInt(state, 16),
    uid: Number(uid),
    inode: Number(inode),
  }));
}

/** How surely a socket is in the way of what was wanted: 6 and 7 are certain, 0 is not at all. */
function blame({ address, port, state }: SocketEntry, wanted: Wanted): number {
  if (port !== wanted.port || (wanted.kind === "stream" && state === TIME_WAIT)) return 0;
  const listening = wanted.kind === "datagram" || state === LISTEN ? 4 : 0;
  const all = isWildcard(address);
  if (all || wanted.address === undefined) {
    if (wanted.families.includes(address.family)) return listening + 2;
    // A socket on [::] usually takes IPv4 along; /proc/net doesn't say.
    return all && address.family === 6 ? listening + 1 : 0;
  }
  return address.bytes.join() === wanted.address.bytes.join() ? listening + 3 : 0;
}

/** The socket that is most likely in the way; undefined if none is. */
export function findSocket(entries: readonly SocketEntry[], wanted: Wanted): SocketEntry | undefined {
  const blamed = entries.map((entry) => ({ entry, by: blame(entry, wanted) })).filter(({ by }) => by > 0);
  return blamed.sort((a, b) => b.by - a.by)[0]?.entry;
}

/** What a look into /proc says; undefined where a process has ended meanwhile or is somebody else's, or IPv6 is missing. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

const read = (path: string): string => attempt(() => readFileSync(path, "utf8")) ?? "";

/** All sockets of a kind in this network namespace. */
function sockets(kind: Wanted["kind"]): SocketEntry[] {
  const name = kind === "stream" ? "tcp" : "udp";
  return [...parseSockets(read(`/proc/net/${name}`)), ...parseSockets(read(`/proc/net/${name}6`))];
}

/** Whether a socket listens (datagrams: is bound) where that was wanted. */
export function isServed(wanted: Wanted): boolean {
  return sockets(wanted.kind).some((entry) => blame(entry, wanted) >= 6);
}

const PATIENCE = 100; // milliseconds: this holds up everything else

/** The process that has the socket with this inode open; undefined if it is none of those that may be looked into. */
function findProcess(inode: number): number | undefined {
  const link = `socket:[${inode}]`;
  const deadline = performance.now() + PATIENCE;
  for (const pid of [process.pid, ...readdirSync("/proc").map(Number).filter(Number.isInteger)]) {
    const directory = `/proc/${pid}/fd`;
    for (const fd of attempt(() => readdirSync(directory)) ?? []) {
      if (performance.now() > deadline) return undefined;
      if (attempt(() => readlinkSync(`${directory}/${fd}`)) === link) return pid;
    }
  }
  return undefined;
}

/** Somebody else's process for people, as far as passwd(5) knows its user. */
export function describeUser(uid: number, passwd: string): string {
  const users = passwd.split("\n").map((line) => line.split(":"));
  const name = users.find((fields) => fields[2] === String(uid))?.[0];
  return name === undefined ? `a process of uid ${uid}` : `a process of user ${name} (uid ${uid})`;
}

/** A process for people: its pid and the beginning of its command line, as the text of /proc/PID/cmdline has it. */
export function describeProcess(pid: number, cmdline: string): string {
  const command = cmdline.replace(/[\p{C}\s]+/gu, " ").trim();
  return `pid ${pid}${command && ` (${command.length > 60 ? `${command.slice(0, 60)}…` : command})`}`;
}

/**
 * Who has the port that could not be bound to, for a message: "pid 4242 (nginx -g daemon off;)", or "a process of user root
 * (uid 0)" where no more can be known; undefined where nothing can. Looks through /proc, for 100 ms at most.
 */
export function holderOf(wanted: Wanted): string | undefined {
  const socket = findSocket(sockets(wanted.kind), wanted);
  if (socket === undefined) return undefined;
  const pid = socket.inode === 0 ? undefined : findProcess(socket.inode);
  if (pid === process.pid) return `rlkit itself (pid ${pid}), for another published port`;
  if (pid !== undefined) return describeProcess(pid, read(`/proc/${pid}/cmdline`));
  return describeUser(socket.uid, read("/etc/passwd"));
}
