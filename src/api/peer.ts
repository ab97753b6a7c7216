import type { Socket } from "node:net";
import { peer } from "../native/calls.ts";

/**
 * Whether the program at the other end runs as this process's user. Inside the namespaces that is root there; the users of
 * containers are others. Whoever can publish ports of this user acts as this user.
 */
export function isOwner(socket: Socket): boolean {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  return fd >= 0 && peer(fd).uid === process.geteuid?.();
}
