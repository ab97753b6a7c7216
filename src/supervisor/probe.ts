import type { IncomingMessage } from "node:http";

/** Asks a daemon on its Unix socket; resolves to the answer's body. Rejects when there is none within `milliseconds`, or not 200. */
async function get(socketPath: string, path: string, milliseconds: number): Promise<string> {
  const { request } = await import("node:http");
  return await new Promise((resolve, reject) => {
    const asked = request({
      socketPath,
      path,
      host: "localhost",
      agent: false,
      signal: AbortSignal.timeout(milliseconds),
    });
    asked.on("error", reject);
    asked.on("response", (response: IncomingMessage) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("error", reject);
      response.on("end", () => (response.statusCode === 200 ? resolve(body) : reject(new Error(body))));
    });
    asked.end();
  });
}

/** Whether dockerd answers. */
export const answers = (socket: string, milliseconds: number): Promise<boolean> =>
  get(socket, "/_ping", milliseconds).then(
    () => true,
    () => false,
  );

/** dockerd's version; undefined if it doesn't say. */
export async function askVersion(socket: string): Promise<string | undefined> {
  try {
    return (JSON.parse(await get(socket, "/version", 2000)) as { Version?: string }).Version;
  } catch {
    return undefined;
  }
}

/** Whether dockerd would leave its containers running now if it ended; undefined if it doesn't say. */
export async function asksLiveRestore(socket: string, milliseconds: number): Promise<boolean | undefined> {
  try {
    return (JSON.parse(await get(socket, "/info", milliseconds)) as { LiveRestoreEnabled?: boolean })
      .LiveRestoreEnabled;
  } catch {
    return undefined;
  }
}
