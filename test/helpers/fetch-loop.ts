import { setTimeout as pause } from "node:timers/promises";
import { exchange } from "./client.ts";
import { until } from "./wait.ts";

/** A page that is served, and where. */
export interface Page {
  readonly name: string;
  readonly port: number;
  /** 127.0.0.1 unless told. */
  readonly host?: string;
}

/** One fetch that did not bring the page. Moments are performance.now()'s. */
interface Failure {
  readonly name: string;
  readonly began: number;
  readonly ended: number;
  /** An errno, or what came in place of the page. */
  readonly why: string;
}

/** Clients that fetch pages, connection after connection, until they are told to stop. */
export interface FetchLoop extends AsyncDisposable {
  /** What has failed so far, oldest first. */
  readonly failures: readonly Failure[];
  /** How many pages have come, of all ports. */
  readonly fetched: number;
  /** Resolves when `count` more fetches of each page have been begun and have brought it. */
  more(count?: number): Promise<void>;
  /** What has failed but for connections that were open at one of these moments: a line for each kind. */
  failedBeside(moments: readonly number[]): string[];
  /** Stops the clients; resolves when their last fetches are over. */
  stop(): Promise<void>;
}

/** How long after the death of a target something in it may still accept: its proxies get their signal after it. */
const DYING = 300;

/** Whether a connection was there at one of the moments, or was accepted by what was dying then. One that is refused never was. */
const wasOpen = ({ began, ended, why }: Failure, moments: readonly number[]): boolean =>
  why !== "ECONNREFUSED" && moments.some((moment) => began <= moment + DYING && ended >= moment);

/** Starts one client per page. The containers' httpd of busybox answers to HTTP/1.0, and ends the connection then. */
export function fetchLoop(pages: readonly Page[]): FetchLoop {
  const failures: Failure[] = [];
  const fetched = new Map(pages.map(({ name }) => [name, 0]));
  let over = false;
  const client = async ({ name, ...to }: Page): Promise<void> => {
    while (!over) {
      const began = performance.now();
      const why = await fetchOnce(to, name);
      if (why === undefined) fetched.set(name, (fetched.get(name) ?? 0) + 1);
      else failures.push({ name, began, ended: performance.now(), why });
      await pause(5);
    }
  };
  const clients = pages.map(client);
  const all = () => [...fetched.values()].reduce((sum, count) => sum + count, 0);
  const stop = async () => {
    over = true;
    await Promise.all(clients);
  };
  return {
    failures,
    get fetched() {
      return all();
    },
    async more(count = 2) {
      // One that is under way was begun before the call.
      const goals = [...fetched].map(([name, before]) => [name, before + count + 1] as const);
      const reached = () => goals.every(([name, goal]) => (fetched.get(name) ?? 0) >= goal);
      const what = () => `${count} more fetches of each page; failed last: ${JSON.stringify(failures.slice(-3))}`;
      await until(reached, { deadline: 20_000, what: "more fetches of each page" }).catch((cause) => {
        throw new Error(`waited in vain for ${what()}`, { cause });
      });
    },
    failedBeside: (moments) =>
      summary(
        failures.filter((failure) => !wasOpen(failure, moments)),
        moments,
      ),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A line for all failures of one kind after one of the moments. */
function summary(failures: readonly Failure[], moments: readonly number[]): string[] {
  const kinds = new Map<string, number[]>();
  for (const { name, why, began } of failures) {
    const after = moments.findLastIndex((moment) => moment <= began);
    const kind = `${name}: ${why}, begun after moment ${after + 1}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), Math.round(began - (moments[after] ?? began))]);
  }
  return [...kinds].map(([kind, all]) => `${kind}: ${all.length} times, ${Math.min(...all)} to ${Math.max(...all)} ms`);
}

/** Fetches a page; undefined when it came, or else what happened. */
async function fetchOnce(to: Omit<Page, "name">, name: string): Promise<string | undefined> {
  try {
    const answer = await exchange(to, "GET /index.html HTTP/1.0\r\n\r\n");
    if (answer.startsWith("HTTP/1.0 200 ") && answer.endsWith(`\r\n\r\n${name}`)) return undefined;
    if (answer.startsWith("HTTP/1.1 200 ") && answer.endsWith(`\r\n\r\n${name}`)) return undefined;
    return `answered ${JSON.stringify(answer.slice(0, 100))}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  }
}
