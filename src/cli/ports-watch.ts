import { once } from "node:events";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import type { Info } from "../api/info.ts";
import { ExitStatus, isErrno } from "../errors.ts";
import { type ListedPort, printPorts, ratesBetween } from "./ports-table.ts";

interface Watch {
  list(): Promise<ListedPort[]>;
  info: Info;
  /** Between two looks. */
  seconds: number;
  json: boolean;
}

/** `CSI n A` goes up n lines, `CSI J` clears from there: scrolled-back output stays, and the cursor is never hidden. */
const redraw = (lines: number): string => (lines === 0 ? "" : `\x1b[${lines}A\x1b[J`);

/** A text that takes no more than a terminal has: longer lines would wrap, and more of them scroll away. */
export function clip(text: string, terminal: { columns?: number; rows?: number }): string {
  // A terminal that does not know its size says 0.
  const [columns, rows] = [terminal.columns || 80, terminal.rows || 24];
  const lines = text.trimEnd().split("\n");
  const [most, more] = [rows - 2, lines.length - rows + 2];
  const shown = lines.length < rows ? lines : [...lines.slice(0, most), `… and ${more} more`];
  return shown.map((line) => `${line.slice(0, columns)}\n`).join("");
}

/**
 * Prints the ports again and again, with rates once there are two lists to compare: over itself at a terminal, below each other
 * elsewhere, as one JSON object a line with `json`. Resolves to an exit status: 0 when its reader has gone, 128 + n after a signal.
 */
export async function watchPorts({ list, info, seconds, json }: Watch): Promise<number> {
  const stop = new AbortController();
  const stopped = once(stop.signal, "abort").then(() => undefined);
  let status = 0;
  const end = (how: number): void => {
    status = how;
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => end(ExitStatus.signal + constants.signals[name]));
  }
  process.stdout.on("error", (error) => {
    if (!isErrno(error, "EPIPE")) throw error;
    end(0);
  });

  const atTerminal = process.stdout.isTTY && !json;
  let last: { ports: ListedPort[]; at: number } | undefined;
  let drawn = 0;
  for (;;) {
    const ports = await Promise.race([list(), stopped]);
    if (ports === undefined || stop.signal.aborted) {
      if (atTerminal) process.stdout.write("\n"); // the terminal has shown ^C
      return status;
    }
    const now = performance.now();
    const rates = ratesBetween(last?.ports ?? [], ports, last === undefined ? 1 : (now - last.at) / 1000);
    const text = json ? jsonLine(ports, rates) : await printPorts(ports, info, rates);
    if (atTerminal) {
      const screen = clip(text, process.stdout);
      process.stdout.write(redraw(drawn) + screen);
      drawn = screen.split("\n").length - 1;
    } else process.stdout.write(json || last === undefined ? text : `\n${text}`);
    last = { ports, at: now };
    await Promise.race([pause(seconds * 1000), stopped]);
  }
}

/** One look as a line: the time, and each port with its rates a second. */
function jsonLine(ports: readonly ListedPort[], rates: ReturnType<typeof ratesBetween>): string {
  const withRates = ports.map((port) => ({ ...port, perSecond: rates.get(port.id) }));
  return `${JSON.stringify({ time: new Date().toISOString(), ports: withRates })}\n`;
}
