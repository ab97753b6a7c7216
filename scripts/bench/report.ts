import { writeFileSync } from "node:fs";
import Table from "cli-table3";
import { BARE, median, quantile, type Row } from "./statistics.ts";

/**
 * The table: a group of lines for each measurement, with the ratio of the medians to RootlessKit's. Where there is a way without
 * any launcher, also the ratio to that; where something is required of rlkit, also that.
 */
export function printTable(rows: readonly Row[]): void {
  const withBare = rows.some(({ subject }) => subject === BARE);
  const withRequired = rows.some(({ required }) => required !== undefined);
  const head = ["", "launcher", "median", "10 %", "90 %", "runs", "ratio"];
  const table = new Table({
    head: [...head, ...(withBare ? ["to bare"] : []), ...(withRequired ? ["required", ""] : [])],
    colAligns: ["left", "left", "right", "right", "right", "right", "right", ...(withBare ? (["right"] as const) : [])],
    style: { head: [], border: [], compact: true },
  });
  rows.forEach((row, index) => {
    const { measurement, subject, samples, unit, required } = row;
    const digits = { "%": 2, "": 0 }[unit as string] ?? 1;
    const shown = (value: number) => `${value.toFixed(digits)} ${unit}`.trimEnd();
    table.push([
      rows[index - 1]?.measurement === measurement ? "" : measurement,
      subject,
      shown(median(samples)),
      shown(quantile(samples, 0.1)),
      shown(quantile(samples, 0.9)),
      samples.length,
      shownRatio(toRootlesskit(row, rows)),
      ...(withBare ? [shownRatio(toBare(row, rows))] : []),
      ...(withRequired ? [required?.text ?? "", verdict(row)] : []),
    ]);
  });
  console.log(table.toString());
}

export function writeJson(path: string, setting: Record<string, string>, rows: readonly Row[]): void {
  const results = rows.map((row) => ({
    ...row,
    median: median(row.samples),
    ratio: toRootlesskit(row, rows),
    ratioToBare: toBare(row, rows),
  }));
  writeFileSync(path, `${JSON.stringify({ ...setting, results }, null, 2)}\n`);
}

const shownRatio = (value: number | undefined): string =>
  value === undefined || !Number.isFinite(value) ? "" : value.toFixed(2);

function verdict({ required }: Row): string {
  if (required === undefined) return "";
  return required.met ? "met" : "NOT MET";
}

const toRootlesskit = (row: Row, rows: readonly Row[]) => ratio(row, rows, (other) => other.startsWith("rootlesskit"));
const toBare = (row: Row, rows: readonly Row[]) => ratio(row, rows, (other) => other === BARE);

/** The median as a multiple of that of the measurement's line whose launcher `isBase`; undefined for that line itself. */
function ratio(row: Row, rows: readonly Row[], isBase: (subject: string) => boolean): number | undefined {
  const base = rows.find((other) => other.measurement === row.measurement && isBase(other.subject));
  return base === undefined || base === row ? undefined : median(row.samples) / median(base.samples);
}
