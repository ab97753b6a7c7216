import { writeFileSync } from "node:fs";
import Table from "cli-table3";
import { median, quantile, type Row } from "./statistics.ts";

/** The table: a group of lines for each measurement, and in rlkit's lines the ratio of the medians to RootlessKit's. */
export function printTable(rows: readonly Row[]): void {
  const table = new Table({
    head: ["", "launcher", "median", "10 %", "90 %", "runs", "ratio"],
    colAligns: ["left", "left", "right", "right", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  rows.forEach((row, index) => {
    const { measurement, subject, samples, unit } = row;
    const shown = (value: number) => `${value.toFixed(1)} ${unit}`;
    table.push([
      rows[index - 1]?.measurement === measurement ? "" : measurement,
      subject,
      shown(median(samples)),
      shown(quantile(samples, 0.1)),
      shown(quantile(samples, 0.9)),
      samples.length,
      ratio(row, rows)?.toFixed(2) ?? "",
    ]);
  });
  console.log(table.toString());
}

export function writeJson(path: string, setting: Record<string, string>, rows: readonly Row[]): void {
  const results = rows.map((row) => ({ ...row, median: median(row.samples), ratio: ratio(row, rows) }));
  writeFileSync(path, `${JSON.stringify({ ...setting, results }, null, 2)}\n`);
}

function ratio(row: Row, rows: readonly Row[]): number | undefined {
  const base = rows.find((other) => other.measurement === row.measurement && other.subject.startsWith("rootlesskit"));
  return base === undefined || base === row ? undefined : median(row.samples) / median(base.samples);
}
