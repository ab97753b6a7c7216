import { wrap } from "../wrap.ts";
import type { Checked, Fix, Verdict, Who } from "./requirement.ts";
import { isGood } from "./run.ts";

const WIDTH = 80;

const symbols: Readonly<Record<Verdict, { mark: string; colour: number }>> = {
  ok: { mark: "✓", colour: 32 },
  warning: { mark: "!", colour: 33 },
  failure: { mark: "✗", colour: 31 },
  skipped: { mark: "-", colour: 90 },
};

/** Paints text, where there are colours. */
type Paint = (colour: number, text: string) => string;
const plain: Paint = (_, text) => text;
const ansi: Paint = (colour, text) => `\u001b[${colour}m${text}\u001b[0m`;

const people: Readonly<Record<Who, string>> = {
  root: "as root",
  user: "as yourself",
  outside: "outside of this machine",
};

/** At most `width` characters, the last of which says that there is more. */
const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1).replace(/[\s,;:]+$/, "")}…`;

/** What a check is about. */
export interface Subject {
  /** The last sentence, when nothing has failed and when something has. */
  good: string;
  bad: string;
  /** What stands above the block for root. */
  block: string;
  /** Sections before that block. */
  more?: readonly string[];
}

const rootless: Subject = {
  good: "A rootless dockerd can run here",
  bad: "A rootless dockerd can't run here yet",
  block: "For root, all of it (rlkit check --fix runs it by sudo):",
};

/** The table, a line each; then what is wrong, with its cause and what mends it; at the end one block for root. */
export function printCheck(
  results: readonly Checked[],
  { colours, subject = rootless }: { colours: boolean; subject?: Subject },
): string {
  const paint = colours ? ansi : plain;
  const width = Math.max(0, ...results.map(({ title }) => title.length));
  const rows = results.map((each) => {
    const { mark, colour } = symbols[each.verdict];
    return `${paint(colour, mark)} ${each.title.padEnd(width)}  ${cut(each.found, WIDTH - width - 4)}`;
  });
  const wrong = results.filter(({ verdict }) => verdict === "failure" || verdict === "warning");
  const wanted = results.flatMap(({ fix }) => fix.filter(({ optional }) => optional));
  const sections = [
    rows.join("\n"),
    ...wrong.map((each) => describe(each, paint)),
    ...(wanted.length === 0 ? [] : [["If wanted:", ...wanted.flatMap(mend)].join("\n")]),
    ...(subject.more ?? []),
    ...blockForRoot(results, subject),
    summary(results, subject),
  ];
  return `${sections.join("\n\n")}\n`;
}

const indented = (text: string): string[] => wrap(text, WIDTH - 2).map((line) => `  ${line}`);

function describe({ id, title, verdict, tried, found, fix }: Checked, paint: Paint): string {
  const { mark, colour } = symbols[verdict];
  return [
    paint(colour, `${mark} ${title} (${id})`),
    ...indented(`${found}.`),
    ...indented(`Tried: ${tried}.`),
    ...fix.filter(({ optional }) => !optional).flatMap(mend),
  ].join("\n");
}

/** Commands are never broken: they are to be copied. */
function mend({ who, lines, note }: Fix): string[] {
  if (lines.length === 0) return indented(`${people[who]}: ${note}`);
  const about = note === undefined ? people[who] : `${people[who]}, ${note}`;
  return [...indented(`${about}:`), ...lines.map((line) => `    ${line}`)];
}

/** What root is to run so that nothing is wrong any more, in the order in which it was found; each line once. */
export function rootLines(results: readonly Checked[]): string[] {
  const lines = results.flatMap(({ fix }) =>
    fix.filter(({ who, optional }) => who === "root" && !optional).flatMap((each) => each.lines),
  );
  return [...new Set(lines)];
}

function blockForRoot(results: readonly Checked[], { block }: Subject): string[] {
  const lines = rootLines(results);
  if (lines.length === 0) return [];
  return [[block, "", "sudo sh -eux <<'EOF'", ...lines, "EOF"].join("\n")];
}

function summary(results: readonly Checked[], { good, bad }: Subject): string {
  const count = (verdict: Verdict): number => results.filter((each) => each.verdict === verdict).length;
  const several = (verdict: Verdict): string => `${count(verdict)} ${verdict}${count(verdict) === 1 ? "" : "s"}`;
  const numbers = [several("failure"), several("warning"), `${count("ok")} ok`, `${count("skipped")} skipped`];
  return `${isGood(results) ? good : bad}: ${numbers.join(", ")}.`;
}

/** The result for programs, with what else a check has to say; its shape stays. */
export function checkAsJson(results: readonly Checked[], more: Readonly<Record<string, unknown>> = {}): string {
  const checks = results.map(({ id, title, verdict, tried, found, fix }) => ({
    ...{ id, title, verdict, tried, found },
    fix: fix.map(({ who, lines, note = null, optional = false }) => ({ who, lines, note, optional })),
  }));
  return `${JSON.stringify({ ok: isGood(results), checks, root: rootLines(results), ...more }, null, 2)}\n`;
}
