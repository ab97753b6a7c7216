import { expect } from "vitest";
import { leftovers } from "./left.ts";
import type { Running } from "./run.ts";
import type { User } from "./user.ts";

/** Milliseconds for the whole of a run that fails: a tenth is usual. */
export const DEADLINE = 2000;

interface Refusal {
  readonly status: number;
  /** Each is in the one line: what failed and on which object, why, what to do. */
  readonly says: readonly (string | RegExp)[];
}

/** Checks that a run has ended as every run with a known cause ends: soon, in one line, with nothing left. */
export async function expectRefusal(user: User, run: Running, { status, says }: Refusal): Promise<void> {
  const { code, signal, stdout, stderr } = await run.result(DEADLINE);
  expect(stderr).toMatch(/^rlkit: .+\n$/); // `.` is no newline, so one line
  expect({ code, signal, stdout }, stderr).toEqual({ code: status, signal: null, stdout: "" });
  for (const words of says) expect(stderr).toMatch(words);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+|defect/);
  // A helper that was asked for its --help dies with rlkit by its parent-death signal: soon, not at once.
  await expect.poll(() => leftovers(user), { timeout: 1000 }).toEqual([]);
}
