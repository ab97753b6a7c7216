import { closeSync, constants, openSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { basename, dirname, join, resolve } from "node:path";
import { isErrno, RlkitError } from "../errors.ts";
import { findRunning, type Wanted } from "../launch/running.ts";
import { instanceName } from "../options/instance-name.ts";
import { targetEnvironment } from "../options/run-options.ts";

/** Bytes of a Unix socket's path (unix(7)); the last one is a NUL. */
const MAX_SOCKET_PATH = 107;
const ANSWER_DEADLINE = 30_000; // milliseconds: more than a thousand ports need

/** A client of the API of one instance, for rlkit's own commands. */
export interface ApiClient {
  /**
   * Sends a request, with a JSON body if there is one; resolves to the answer's JSON. Throws the API's own errors, and one when
   * there is no answer within so many milliseconds.
   */
  ask<T>(method: string, path: string, body?: unknown, within?: number): Promise<T>;
}

/**
 * The API of the instance with that state directory, or that name; without either, of the instance that this process is in, of the one
 * that RLKIT_INSTANCE names, or of the only one of this user that runs. Throws an INSTANCE error when nothing runs there.
 */
export function openApi({ stateDir: given, instance }: Wanted): ApiClient {
  const env = targetEnvironment(process.env);
  const around = instance === undefined ? env.ROOTLESSKIT_STATE_DIR || undefined : undefined;
  const named = given === undefined ? around : resolve(given);
  // In the namespaces, /proc may not show the process that findRunning looks for; the socket is there all the same.
  const stateDir = named ?? findRunning({ instance: instanceName(instance, env) }).stateDir;
  return {
    async ask<T>(method: string, path: string, body?: unknown, within = ANSWER_DEADLINE) {
      try {
        return (await exchange(join(stateDir, "api.sock"), { method, path, timeout: within }, body)) as T;
      } catch (error) {
        if (error instanceof RlkitError) throw error;
        if (!isErrno(error, "EACCES")) findRunning({ stateDir }); // says so if nothing runs there
        const text = `cannot ask ${join(stateDir, "api.sock")}: ${(error as Error).message}`;
        throw new RlkitError("INSTANCE", text, {
          hint: "only the user whose instance it is may do that",
          cause: error,
        });
      }
    },
  };
}

/**
 * Sends one request to the API at a socket, with a JSON body if there is one; resolves to the answer's JSON, undefined if it has
 * none. Throws the API's own errors (RlkitError), and what connecting fails with.
 */
export async function exchange(
  socket: string,
  asked: { method: string; path: string; timeout: number },
  body?: unknown,
): Promise<unknown> {
  const { request } = await import("node:http");
  let socketPath = socket;
  let directory: number | undefined;
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH) {
    directory = openSync(dirname(socket), constants.O_RDONLY | constants.O_DIRECTORY);
    socketPath = `/proc/self/fd/${directory}/${basename(socket)}`;
  }
  try {
    const { status, text } = await new Promise<{ status: number; text: string }>((done, fail) => {
      const sent = request({ socketPath, ...asked, host: "rlkit", agent: false });
      sent.on("error", fail);
      sent.on("timeout", () => sent.destroy(silent(dirname(socket), asked.timeout)));
      sent.on("response", (response: IncomingMessage) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", fail).on("end", () => done({ status: response.statusCode ?? 0, text }));
      });
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
    if (status < 200 || status > 299) throw new RlkitError("PORT", message(status, text));
    return text === "" ? undefined : JSON.parse(text);
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

/** What the API says about a request that failed. */
function message(status: number, text: string): string {
  try {
    return String((JSON.parse(text) as { message: unknown }).message);
  } catch {
    return `unexpected HTTP status ${status}: ${JSON.stringify(text.slice(0, 200))}`;
  }
}

const silent = (stateDir: string, within: number): RlkitError =>
  new RlkitError("INSTANCE", `the instance at ${stateDir} did not answer within ${within / 1000} s`, {
    hint: "it may be stopped (kill -CONT it), or the machine is very busy",
  });
