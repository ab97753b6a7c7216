/** One line of the table: a launcher's samples in one measurement. */
export interface Row {
  readonly measurement: string;
  readonly subject: string;
  readonly unit: "ms" | "µs" | "MB" | "Gbit/s" | "Mbit/s" | "/s" | "%" | "";
  readonly samples: readonly number[];
  /** What rlkit is to reach here, and whether it has. */
  readonly required?: Requirement;
}

/** What a line calls the way without any launcher. */
export const BARE = "bare loopback";

export interface Requirement {
  readonly text: string;
  readonly met: boolean;
}

export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position % 1);
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

interface InterleaveOptions {
  /** false: the first round counts, too. */
  readonly warmUp?: boolean;
}

/**
 * Samples of every subject in turn, so that whatever else the machine does falls on all of them alike. The first round warms
 * the page cache and does not count.
 */
export async function interleave<S, T>(
  subjects: readonly S[],
  rounds: number,
  sample: (subject: S) => Promise<T>,
  { warmUp = true }: InterleaveOptions = {},
): Promise<Map<S, T[]>> {
  const samples = new Map<S, T[]>(subjects.map((subject) => [subject, []]));
  for (let round = warmUp ? 0 : 1; round <= rounds; round += 1) {
    for (const subject of subjects) {
      const value = await sample(subject);
      if (round > 0) samples.get(subject)?.push(value);
    }
  }
  return samples;
}

export const milliseconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1e6;
