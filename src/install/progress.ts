import { isTerminal } from "../native/calls.ts";

/** Something that takes a while: how many bytes of how many (if that is known) are done. */
interface Bar {
  update(bytes: number, total?: number): void;
  end(): void;
}

/** Begins to show how far something is. */
export type Progress = (what: string) => Bar;

const silent: Bar = { update() {}, end() {} };

/** Bytes as people read them: 79.4 MB. */
export function formatBytes(bytes: number): string {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${["", "k", "M", "G", "T"][power]}B`;
}

/** How far something is: bytes, bytes a second, seconds. */
interface State {
  done: number;
  total: number;
  rate: number;
  eta: number;
}

const NAME = 28;
/** With this many cells the longest numbers that are to be expected fit beside it in 79 columns. */
const CELLS = 15;

/** What is shown in one line of less than so many columns, whatever the names are. */
export function barLine(what: string, bar: string, { done, total, rate, eta }: State, columns: number): string {
  const isKnown = total > done;
  return [
    what.slice(0, NAME).padEnd(NAME),
    bar,
    `${formatBytes(done)}${isKnown ? `/${formatBytes(total)}` : ""}`,
    `${formatBytes(Math.max(0, Math.round(rate)))}/s`,
    isKnown && Number.isFinite(eta) ? `${Math.ceil(eta)}s` : "",
  ]
    .join(" ")
    .slice(0, Math.max(20, columns - 1));
}

/** A bar with rate and remaining time on standard error, at a terminal; elsewhere nothing is shown. */
export async function createProgress(): Promise<Progress> {
  if (!isTerminal(2)) return () => silent;
  const { Format, Presets, SingleBar } = await import("cli-progress");
  return (what) => {
    const started = performance.now();
    let first: number | undefined;
    const bar = new SingleBar(
      {
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: false,
        barsize: CELLS,
        format: (options, { progress, value, total, eta }, { rate }: { rate: number }) =>
          barLine(
            what,
            Format.BarFormat(progress, options),
            { done: value, total, rate, eta },
            process.stderr.columns || 80,
          ),
      },
      Presets.shades_classic, // what is still to come is drawn as well
    );
    return {
      update(bytes, total = 0) {
        // What an earlier run has brought says nothing about the rate of this one.
        const rate = (bytes - (first ?? bytes)) / Math.max(0.001, (performance.now() - started) / 1000);
        if (first === undefined) bar.start(total, bytes, { rate });
        else bar.update(bytes, { rate });
        first ??= bytes;
      },
      end() {
        if (first !== undefined) bar.stop();
      },
    };
  };
}
