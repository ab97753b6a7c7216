import { readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { descendants } from "../../test/helpers/processes.ts";
import type { User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import type { Row } from "./statistics.ts";
import { end, label, type Subject, start } from "./subject.ts";

const OPTIONS = ["--net=slirp4netns", "--copy-up=/etc", "--copy-up=/run", "--disable-host-loopback"];

/**
 * What the launcher's own processes hold while the target idles: not slirp4netns, not the target. PSS divides a page by the
 * number of its users, so it is true only if nothing else on the machine runs on the same node binary.
 */
export async function benchMemory(user: User, subjects: readonly Subject[], rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const subject of subjects) {
    const readings: Reading[] = [];
    for (let round = 0; round < rounds; round += 1) readings.push(await idle(user, subject));
    for (const kind of ["rss", "pss"] as const) {
      rows.push({
        measurement: `idle ${kind.toUpperCase()}, slirp4netns`,
        subject: `${label(subject)}, ${readings[0]?.processes} processes`,
        unit: "MB",
        samples: readings.map((reading) => reading[kind] / 1024),
      });
    }
  }
  return rows.sort((a, b) => b.measurement.localeCompare(a.measurement));
}

/** Kilobytes of some processes together. */
interface Reading {
  readonly processes: number;
  readonly rss: number;
  readonly pss: number;
  /** Without pages of files, which the kernel drops and reads again as it likes. */
  readonly anonymous: number;
}

async function idle(user: User, subject: Subject): Promise<Reading> {
  const child = start(user, subject.env, subject.command(OPTIONS, ["sleep", "300"]));
  const ended = end(child);
  try {
    const pid = child.pid ?? 0;
    await until(() => descendants(pid).some(({ name }) => name === "sleep"), { what: "the target to run" });
    return await until(settled(pid, subject.programs), {
      what: "memory that stays the same",
      deadline: 30_000,
      every: 1000,
    });
  } finally {
    child.kill("SIGTERM");
    await within(20_000, () => `the end of ${label(subject)} after SIGTERM`, ended);
  }
}

/** A fact: three equal readings in a row, so that whatever the launcher puts off until it is idle has been done. */
export function settled(pid: number, programs: readonly string[]): () => Reading | undefined {
  let last: Reading | undefined;
  let equal = 0;
  return () => {
    const now = reading(pid, programs);
    equal = last !== undefined && Math.abs(now.rss - last.rss) < 64 ? equal + 1 : 0;
    last = now;
    return equal >= 3 ? now : undefined;
  };
}

function reading(root: number, programs: readonly string[]): Reading {
  const pids = launcherPids(root, programs);
  const sums = pids.map((pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1]);
    return { rss: kilobytes("Rss"), pss: kilobytes("Pss"), anonymous: kilobytes("Anonymous") };
  });
  return {
    processes: pids.length,
    rss: sums.reduce((sum, { rss }) => sum + rss, 0),
    pss: sums.reduce((sum, { pss }) => sum + pss, 0),
    anonymous: sums.reduce((sum, { anonymous }) => sum + anonymous, 0),
  };
}

/** The processes of these programs among `root` and those below it. */
export function launcherPids(root: number, programs: readonly string[]): number[] {
  const pids = [root, ...descendants(root).map(({ pid }) => pid)].filter((pid) => programs.includes(program(pid)));
  if (pids.length === 0) throw new Error(`found no process of ${programs.join(", ")} under ${root}`);
  return pids;
}

const program = (pid: number): string => basename(readlinkSync(`/proc/${pid}/exe`));
