import { closeSync, openSync } from "node:fs";
import { receiveSocket, socketpair } from "../native/calls.ts";
import { rlkitNs } from "../native/paths.ts";
import type { Control } from "./control.ts";

/** A socket in the network namespace of a run. */
export interface InsideSocket {
  kind: "stream" | "datagram";
  /** An address in numbers; a stream on :: takes IPv4 as well. */
  address: string;
  port: number;
  /** Only what comes by this interface, and broadcasts on it, also while it has no address. */
  ifname?: string;
}

/**
 * Makes a socket inside, bound and (a stream) listening, for use outside; returns its descriptor. `what` names it in messages. Throws
 * SyscallError.
 */
export async function bindInside(control: Pick<Control, "spawn">, socket: InsideSocket, what: string): Promise<number> {
  const { kind, address, port, ifname } = socket;
  const [ours, theirs] = socketpair();
  const nothing = openSync("/dev/null", "r+");
  try {
    try {
      const argv = [rlkitNs(), "bind", "3", kind, address, String(port), ...(ifname === undefined ? [] : [ifname])];
      await control.spawn({ argv, env: [], inNetwork: true, fds: [nothing, nothing, 2, theirs] });
    } finally {
      closeSync(theirs);
    }
    return receiveSocket(ours, what);
  } finally {
    closeSync(ours);
    closeSync(nothing);
  }
}
