import { setTimeout as pause } from "node:timers/promises";

interface UntilOptions {
  /** Milliseconds until the wait fails. */
  readonly deadline?: number;
  /** For the message; without it the text of `fact` is shown. */
  readonly what?: string;
  /** Milliseconds between two looks. */
  readonly every?: number;
}

type Falsy = undefined | null | false | 0 | "";

/**
 * Polls `fact` until it returns something truthy, and returns that. A fact that throws is not there yet; its last error is the
 * cause of the failure at the deadline.
 */
export async function until<T>(fact: () => T | Promise<T>, options: UntilOptions = {}): Promise<Exclude<T, Falsy>> {
  const { deadline = 10_000, every = 20, what = String(fact) } = options;
  const end = performance.now() + deadline;
  let cause: unknown;
  for (;;) {
    try {
      const value = await fact();
      if (value) return value as Exclude<T, Falsy>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= end) throw new Error(`waited ${deadline} ms in vain for: ${what}`, { cause });
    await pause(every);
  }
}

/** Waits for a promise that has no deadline of its own (the end of a process). */
export async function within<T>(deadline: number, what: () => string, promise: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = pause(deadline, undefined, { signal: stop.signal, ref: false }).then(() => {
    throw new Error(`waited ${deadline} ms in vain for: ${what()}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    // The loser would otherwise reject with nobody listening.
    late.catch(() => {});
    stop.abort();
  }
}
