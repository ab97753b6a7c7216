import { ByteWriter, cPath } from "./bytes.ts";
import { check } from "./errno.ts";
import { ffi } from "./ffi.ts";

/** A process to start outside the namespaces: newuidmap, the network helper, rlkit-ns itself. */
export interface SpawnSpec {
  /** Exact path; PATH is not searched. */
  path: string;
  argv: readonly string[];
  env: readonly string[];
  /** The child's fd i is fds[i] of ours, -1 for /dev/null; every other fd is closed. */
  fds: readonly number[];
  /** Sent to the child when this process dies (prctl(2) PR_SET_PDEATHSIG); 0 for none. */
  deathSignal: number;
  /** A session of its own (setsid(2)), away from the terminal's signals. */
  newSession?: boolean;
  /** Soft RLIMIT_NOFILE, -1 to keep ours (Node raises its own to the hard limit). */
  openFiles?: number;
  cwd?: string;
}

/** Starts a process by vfork and exec from this thread; returns its pid. Throws a SyscallError that names the program. */
export function spawn(spec: SpawnSpec): number {
  const buffer = encodeSpec(spec);
  return check(ffi("rl_spawn", buffer, buffer.length), "exec", spec.path);
}

/** Becomes another program, in place of this one (execve(2)). Throws a SyscallError that names it; nothing is to follow then but the end. */
export function exec(spec: Omit<SpawnSpec, "deathSignal" | "newSession">): void {
  const buffer = encodeSpec({ ...spec, deathSignal: 0 });
  check(ffi("rl_exec", buffer, buffer.length), "exec", spec.path);
}

function encodeSpec(spec: SpawnSpec): Buffer {
  const bytes = new ByteWriter()
    .i32(spec.deathSignal)
    .u8(spec.newSession ? 1 : 0)
    .i32(spec.openFiles ?? -1)
    .str(spec.cwd ?? "")
    .str(spec.path)
    .strs(spec.argv)
    .strs(spec.env)
    .u16(spec.fds.length);
  for (const fd of spec.fds) bytes.i32(fd);
  return bytes.finish();
}

/** The wait status (waitpid(2)) of a child of ours that has ended, reaped by this call; undefined while it runs. */
export function reap(pid: number): number | undefined {
  const out = Buffer.alloc(8);
  return check(ffi("rl_wait", pid, out), "waitpid", String(pid)) === 0 ? undefined : out.readInt32LE(0);
}

const POLLIN = 1;

/**
 * Waits at most `milliseconds` until one of the fds can be read (data, end of file or error); returns which, in order, and an
 * empty list after the time or when a signal came in between.
 */
export function pollReadable(fds: readonly number[], milliseconds: number): number[] {
  const entries = Buffer.alloc(fds.length * 8);
  for (const [i, fd] of fds.entries()) {
    entries.writeInt32LE(fd, i * 8);
    entries.writeInt16LE(POLLIN, i * 8 + 4);
  }
  const ready = ffi("rl_poll", entries, fds.length, milliseconds);
  if (ready === -4) return []; // EINTR: the caller lets its signal handlers run and calls again
  check(ready, "poll");
  return fds.filter((_, i) => entries.readInt16LE(i * 8 + 6) !== 0);
}

const POLLOUT = 4;

/** Whether a descriptor takes bytes now; also true when writing would fail. */
export function pollWritable(fd: number): boolean {
  const entry = Buffer.alloc(8);
  entry.writeInt32LE(fd, 0);
  entry.writeInt16LE(POLLOUT, 4);
  return ffi("rl_poll", entry, 1, 0) !== 0;
}

/** A pidfd of a process: readable once it has ended (pidfd_open(2)). The caller closes it. */
export function pidfdOpen(pid: number): number {
  return check(ffi("rl_pidfd_open", pid), "pidfd_open", String(pid));
}

/** Sends a signal to exactly the process that the pidfd refers to, never to a later one with the same pid. */
export function pidfdSignal(pidfd: number, signo: number): void {
  check(ffi("rl_pidfd_signal", pidfd, signo), "pidfd_send_signal");
}

function pair(name: "rl_socketpair" | "rl_pipe"): [number, number] {
  const out = Buffer.alloc(8);
  check(ffi(name, out), name.slice(3));
  return [out.readInt32LE(0), out.readInt32LE(4)];
}

/** Two connected stream sockets, close-on-exec. */
export const socketpair = (): [number, number] => pair("rl_socketpair");

/** A pipe's read and write end, close-on-exec. */
export const pipe = (): [read: number, write: number] => pair("rl_pipe");

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** flock(2) without waiting. Throws EAGAIN when somebody else holds it. */
export function flock(fd: number, kind: "shared" | "exclusive", object: string): void {
  check(ffi("rl_flock", fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB), "flock", object);
}

/** Makes a FIFO (mkfifo(3)). */
export function mkfifo(path: string, mode: number): void {
  check(ffi("rl_mkfifo", cPath(path), mode), "mkfifo", path);
}

/** A listening Unix stream socket at `path`, whatever its length; clients wait in its backlog until somebody accepts. */
export function listenUnix(path: string, mode: number): number {
  return check(ffi("rl_listen_unix", cPath(path), 128, mode), "bind", path);
}

/**
 * Sends all of `bytes` on a stream socket, and descriptors with the first of them. Throws EPIPE or ECONNRESET when the other side
 * is gone, ETIMEDOUT when it has not read for 5 s.
 */
export function sendAll(fd: number, bytes: Buffer, fds: readonly number[] = []): void {
  const list = Buffer.alloc(Math.max(4, fds.length * 4));
  for (const [i, passed] of fds.entries()) list.writeInt32LE(passed, i * 4);
  check(ffi("rl_send", fd, bytes, bytes.length, list, fds.length), "sendmsg");
}

/** A socket to bind for a published port. */
export interface SocketSpec {
  family: 4 | 6;
  kind: "stream" | "datagram";
  v6only: boolean;
  /** "" for every address. */
  address: string;
  /** 0 for any. */
  port: number;
}

/** A bound, non-blocking socket; streams listen, too. The caller closes it. */
export function bindSocket({ family, kind, v6only, address, port }: SocketSpec): number {
  const result = ffi("rl_bind", family, kind === "stream" ? 1 : 2, v6only ? 1 : 0, port, address);
  return check(result, "bind", `${address}:${port}`);
}

/** The port that a socket is bound to. */
export const boundPort = (fd: number): number => check(ffi("rl_bound_port", fd), "getsockname");

/** The socket that `rlkit-ns bind` hands over on this one. Waits for it. Throws what binding failed with. */
export const receiveSocket = (fd: number, object: string): number =>
  check(ffi("rl_receive_socket", fd), "bind", object);

/** Who connected a Unix socket (SO_PEERCRED, unix(7)): uid and pid as this process's namespaces number them. */
export function peer(fd: number): { uid: number; pid: number } {
  const out = Buffer.alloc(8);
  check(ffi("rl_peer", fd, out), "getsockopt");
  return { uid: out.readUInt32LE(0), pid: out.readInt32LE(4) };
}

/** A Unix datagram socket for what sd_notify(3) sends. The caller closes it and removes the file. */
export const bindNotify = (path: string): number => check(ffi("rl_notify_bind", cPath(path)), "bind", path);

/** Sends a message to NOTIFY_SOCKET's value (sd_notify(3)). Throws a SyscallError; EAGAIN when the reader is behind. */
export function sendNotify(socket: string, message: string): void {
  const [name, bytes] = [Buffer.from(socket), Buffer.from(message)];
  check(ffi("rl_notify_send", name, name.length, bytes, bytes.length), "sendto", socket);
}

/** Gives back the clean file pages of this process (most of Node's memory is its own binary); returns KiB. */
export function trimMemory(): number {
  return check(ffi("rl_trim"), "madvise");
}

/** The directories directly in `dir` that hold a relative symlink which climbs to `dir` or above it. */
export function directoriesWithLeavingLinks(dir: string): string[] {
  const out = Buffer.alloc(64 * 1024);
  const bytes = check(ffi("rl_leaving_links", cPath(dir), out, out.length), "readdir", dir);
  const names: string[] = [];
  for (let at = 0; at < bytes; ) {
    const length = out.readUInt32LE(at);
    names.push(out.toString("utf8", at + 4, at + 4 + length));
    at += 4 + length;
  }
  return names;
}

/** Whether a descriptor is a terminal. Node's own isatty loads its network stack (4 ms). */
export const isTerminal = (fd: number): boolean => ffi("rl_isatty", fd) === 1;

/** Ends this process at once, after its exit handlers: Node takes 3 ms to free what the kernel frees anyway. */
export function exitNow(status: number): never {
  process.emit("exit", status);
  try {
    ffi("rl_exit", status);
  } catch {
    // The library could not be loaded, which has been reported: the ordinary way, then.
  }
  return process.exit(status);
}
