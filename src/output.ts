import { writeSync } from "node:fs";
import { isErrno } from "./errors.ts";

/** Writes to standard output, all of it before it returns, and returns exit status 0. A reader that has gone away is no error. */
export function printed(text: string): number {
  const bytes = Buffer.from(text);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(1, bytes, sent);
    } catch (error) {
      if (isErrno(error, "EPIPE")) return 0;
      // Somebody made the pipe non-blocking (its other end may be a Node program).
      if (!isErrno(error, "EAGAIN")) throw error;
    }
  }
  return 0;
}
