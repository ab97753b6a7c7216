import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { exchange } from "../../test/helpers/client.ts";

const run = promisify(execFile);

/** A client that fetches a page, one connection after the other. Moments are performance.now()'s. */
export interface PageClient extends AsyncDisposable {
  /** Resolves to the end of the first good fetch that was begun after that moment. */
  after(moment: number): Promise<number>;
  /** From the beginning of the first fetch that failed to the first good one after the last that did; 0 if none has. */
  outage(): number;
  /** The longest time from one page to the next. */
  longestWait(): number;
}

export function pageClient(port: number, page: string): PageClient {
  const good: { began: number; ended: number }[] = [];
  const bad: number[] = [];
  const waiting = new Set<() => void>();
  let over = false;
  const client = (async () => {
    while (!over) {
      const began = performance.now();
      const answer = await exchange({ port }, "GET /index.html HTTP/1.0\r\n\r\n").catch(() => "");
      if (answer.endsWith(`\r\n\r\n${page}`)) good.push({ began, ended: performance.now() });
      else bad.push(began);
      for (const look of waiting) look();
      await pause(5);
    }
  })();
  return {
    after: (moment) =>
      new Promise((resolve) => {
        const look = (): void => {
          const first = good.find(({ began }) => began > moment);
          if (first === undefined) return;
          waiting.delete(look);
          resolve(first.ended);
        };
        waiting.add(look);
      }),
    outage() {
      const [first, last] = [bad[0], bad.at(-1)];
      if (first === undefined || last === undefined) return 0;
      return (good.find(({ began }) => began > last)?.ended ?? Number.NaN) - first;
    },
    longestWait: () => Math.max(...good.slice(1).map(({ ended }, index) => ended - (good[index]?.ended ?? ended))),
    async [Symbol.asyncDispose]() {
      over = true;
      await client;
    },
  };
}

/** A web server of this machine that is not on loopback, for clients inside. */
export interface Outside extends AsyncDisposable {
  readonly url: string;
  /** Resolves when the next client connects; rejects when none does. */
  next(deadline: number): Promise<void>;
}

// Of the range for benchmarks (RFC 2544), in which no real machine is.
const ADDRESS = `198.18.${process.pid % 256}.9`;

export async function serveOutside(): Promise<Outside> {
  await run("ip", ["addr", "add", `${ADDRESS}/32`, "dev", "lo"]);
  const server = createServer((_, response) => response.end("outside\n")).listen(0, ADDRESS);
  await once(server, "listening");
  return {
    url: `http://${ADDRESS}:${(server.address() as AddressInfo).port}/`,
    next: async (deadline) => void (await once(server, "connection", { signal: AbortSignal.timeout(deadline) })),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await run("ip", ["addr", "del", `${ADDRESS}/32`, "dev", "lo"]);
    },
  };
}
