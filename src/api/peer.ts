import { readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { peer } from "../native/calls.ts";

/**
 * Whether the program at the other end runs as this process's user. Inside the namespaces that is root there; the users of
 * containers are others. Whoever can publish ports of this user acts as this user.
 */
export function isOwner(socket: Socket): boolean {
  const fd = descriptor(socket);
  return fd >= 0 && peer(fd).uid === process.geteuid?.();
}

/**
 * Whether the program at the other end is in other namespaces than this process: the target, or something that it has started.
 * To be asked when the connection comes. A program that has ended meanwhile counts as one: the target's live shortest.
 */
export function isInside(socket: Socket): boolean {
  try {
    const { pid } = peer(descriptor(socket));
    return readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync("/proc/self/ns/user");
  } catch {
    return true;
  }
}

const descriptor = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
