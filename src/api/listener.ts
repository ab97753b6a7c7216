import { join } from "node:path";
import { listenUnix } from "../native/calls.ts";

/** Only the owner may connect: whoever can publish ports of this user acts as this user. */
const MODE = 0o600;

/** Binds `api.sock` and lets it listen: clients wait in its backlog until the server, slow to load, takes over. Returns the fd. */
export function listenApi(stateDir: string): number {
  return listenUnix(join(stateDir, "api.sock"), MODE);
}
