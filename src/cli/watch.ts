import { once } from "node:events";
import { constants } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { ExitStatus, isErrno } from "../errors.ts";

interface Watch<T> {
  look(): Promise<T>;
  /** The text of a look; `before` is the one before it, so many seconds ago. Where more than `width` characters are cut off, it is given. */
  show(now: T, before: T | undefined, seconds: number, width: number | undefined): string | Promise<string>;
  /** Between two looks. */
  seconds: number;
  /** One line a look, for programs: never drawn over. */
  json: boolean;
}

/** `CSI n A` goes up n lines, `CSI J` clears from there: scrolled-back output stays, and the cursor is never hidden. */
const redraw = (lines: number): string => (lines === 0 ? "" : `\x1b[${lines}A\x1b[J`);

type Size = { columns?: number; rows?: number };

// A terminal that does not know its size says 0.
const sizeOf = ({ columns, rows }: Size): Required<Size> => ({ columns: columns || 80, rows: rows || 24 });

/** A text that takes no more than a terminal has: longer lines would wrap, and more of them scroll away. */
export function clip(text: string, terminal: Size): string {
  const { columns, rows } = sizeOf(terminal);
  const lines = text.trimEnd().split("\n");
  const [most, more] = [rows - 2, lines.length - rows + 2];
  const shown = lines.length < rows ? lines : [...lines.slice(0, most), `… and ${more} more`];
  return shown.map((line) => `${line.slice(0, columns)}\n`).join("");
}

/**
 * Looks and shows again and again: over itself at a terminal, below each other elsewhere. Resolves to an exit status: 0 when its
 * reader has gone, 128 + n after a signal. Rejects as `look` does.
 */
export async function watch<T>({ look, show, seconds, json }: Watch<T>): Promise<number> {
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
  let last: { seen: T; at: number } | undefined;
  let drawn = 0;
  for (;;) {
    const seen = await Promise.race([look(), stopped]);
    if (seen === undefined || stop.signal.aborted) {
      if (atTerminal) process.stdout.write("\n"); // the terminal has shown ^C
      return status;
    }
    const now = performance.now();
    const width = atTerminal ? sizeOf(process.stdout).columns : undefined;
    const text = await show(seen, last?.seen, last === undefined ? 1 : (now - last.at) / 1000, width);
    if (atTerminal) {
      const screen = clip(text, process.stdout);
      process.stdout.write(redraw(drawn) + screen);
      drawn = screen.split("\n").length - 1;
    } else process.stdout.write(json || last === undefined ? text : `\n${text}`);
    last = { seen, at: now };
    await Promise.race([pause(seconds * 1000), stopped]);
  }
}
