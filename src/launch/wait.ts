import { pollReadable } from "../native/calls.ts";

/** Lets Node's own events (signals above all) be handled. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const SLICE = 20;

/**
 * Waits until one of the fds can be read; resolves to those, or to an empty list after `milliseconds`. Made for the start-up:
 * it blocks in short slices, because Node's own way to wait for a socket costs 4 ms to load. `interrupted` is asked between
 * slices and may throw.
 */
export async function untilReadable(
  fds: readonly number[],
  milliseconds: number,
  interrupted: () => void = () => {},
): Promise<number[]> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const left = deadline - Date.now();
    const ready = pollReadable(fds, Math.max(0, Math.min(SLICE, left)));
    if (ready.length > 0 || left <= 0) return ready;
    await nextTurn();
    interrupted();
  }
}

/** Resolves after so many milliseconds, or when the signal comes. */
export function elapsed(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds).unref();
    signal.addEventListener("abort", over);
  });
}
