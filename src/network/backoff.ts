/** Failures are counted for so many milliseconds; this many of them, and nobody should wait for it to get better soon. */
const WINDOW = 60_000;
const MANY = 5;
const FIRST_DELAY = 100;
const LAST_DELAY = 10_000;

/** How long to wait after each failure: not at all, then 100 ms, then twice as long each time; 10 s once it has failed often. */
export class Backoff {
  #failures: number[] = [];

  /** Counts a failure; returns the milliseconds until the next try. */
  failed(now: number): number {
    this.#failures = [...this.#recent(now), now];
    const count = this.#failures.length;
    if (count === 1) return 0;
    return count < MANY ? FIRST_DELAY * 2 ** (count - 2) : LAST_DELAY;
  }

  /** What a program that has failed so often lately did, as a part of a sentence; undefined if it hasn't. */
  often(now: number): string | undefined {
    return this.#recent(now).length < MANY ? undefined : `failed ${MANY} times within ${WINDOW / 1000} s`;
  }

  #recent(now: number): number[] {
    return this.#failures.filter((at) => at > now - WINDOW);
  }
}
