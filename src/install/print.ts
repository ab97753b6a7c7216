import { basename, dirname } from "node:path";
import type { Installed } from "./install.ts";
import type { Found } from "./look.ts";
import type { Plan, Step } from "./step.ts";
import type { Undone } from "./undo.ts";

const WIDTH = 80;

/** Words in lines of 80 columns, those after the first indented. */
export function fold(text: string, indent: string): string {
  const [first = "", ...words] = text.split(/(?<=\S) /);
  const lines = [first];
  for (const word of words) {
    const last = lines.at(-1) ?? "";
    if (last.length + 1 + word.length > WIDTH) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** Lines under a title; paths below the home directory in short, as these lines are not for programs. */
function list(title: string, lines: readonly string[], home: string): string {
  if (lines.length === 0) return "";
  const short = [title, ...lines.map((line) => `  ${line}`)].map((line) => line.replaceAll(`${home}/`, "~/"));
  return short.map((line) => fold(line, "    ")).join("");
}

/** What others make. */
const isSilent = (step: Step): boolean => step.do === "settings" || step.do === "leavings";

/** What a step makes, in one line. */
function what(step: Step): string {
  switch (step.do) {
    case "link":
      return `${step.path} -> ${step.target}`;
    case "block":
      return `${step.path} (lines in it)`;
    case "command":
      return step.what;
    default:
      return step.path;
  }
}

/** Links of one directory to one other take one line. */
function summary(steps: readonly Step[]): string[] {
  const groups = new Map<string, string[]>();
  for (const step of steps) {
    const isLink = step.do === "link" && basename(step.path) !== "current";
    const key = isLink ? `links in ${dirname(step.path)} to ${dirname(step.target)}:` : what(step);
    groups.set(key, [...(groups.get(key) ?? []), ...(isLink ? [basename(step.path)] : [])]);
  }
  return [...groups].map(([key, names]) => [key, ...names].join(" "));
}

/** What an installation has made, and what to do next. */
export function printInstalled({ layout, version, isNew, plan, reports }: Installed, home: string): string {
  const of = (outcome: string): Step[] =>
    reports.filter((each) => each.outcome === outcome && !isSilent(each.step)).map(({ step }) => step);
  const archives = (version?.archives ?? []).map(({ name, sha256, vouched }) =>
    vouched === undefined
      ? `${name}: nobody vouches for it; its SHA-256 is ${sha256}`
      : `${name}: its SHA-256 is as ${vouched} says`,
  );
  const made = of("made");
  return [
    ...(isNew ? [list(`Unpacked into ${layout.versions}/${version?.name}:`, archives, home)] : []),
    list("Made:", summary(made), home),
    list(
      made.length === 0 && !isNew ? "Nothing to do; all is there already:" : "There already:",
      summary(of("there")),
      home,
    ),
    list("Kept, as it was changed since it was installed (--force replaces it):", summary(of("changed")), home),
    printNext(plan),
  ].join("");
}

function printNext({ notes, shellLines, start }: Plan): string {
  return [
    ...notes.map((note) => fold(`Note: ${note}`, "  ")),
    ...(start === undefined ? [] : [`To start it: ${start.join(" ")}\n`]),
    ...(shellLines.length === 0
      ? []
      : [`For this shell, and your shell's profile:\n${shellLines.map((line) => `  ${line}\n`).join("")}`]),
  ].join("");
}

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, "    ");

/** Every step with all that it would write; `look` says what is there now. */
export function printPlan(plan: Plan, look: (step: Step) => Found | undefined): string {
  return [...plan.steps.map((step) => printStep(step, look(step))), printNext(plan)].join("");
}

const states: Readonly<Record<Found, string>> = {
  nothing: "",
  there: "; it is there already",
  ours: "; it replaces that of an earlier installation",
  changed: "; it is there, changed since it was installed, and stays",
  foreign: "; what is there is moved aside",
};

function printStep(step: Step, found: Found = "nothing"): string {
  const why = `(${step.why}${states[found]})`;
  switch (step.do) {
    case "directory":
      return `directory ${step.path} ${why}\n`;
    case "file":
      return `write ${step.path}, mode ${step.mode.toString(8)} ${why}\n${indented(step.content)}`;
    case "link":
      return `link ${step.path} -> ${step.target} ${why}\n`;
    case "block":
      return `add to ${step.path} ${why}\n${indented(step.text)}`;
    case "settings":
    case "leavings":
      return "";
    case "command":
      return `run ${step.argv.join(" ")} (${step.why}${step.unless === undefined ? "" : "; unless that is so already"})\n`;
  }
}

/** What was removed, and what was not. */
export function printUninstalled({ removed, kept }: Undone, home: string): string {
  return list("Removed:", removed, home) + list("Kept:", kept, home);
}
