import { existsSync, lstatSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import type { Machine } from "../host/machine.ts";
import { sha256 } from "./checksum.ts";
import { onDisk, removeFile, removeIfEmpty, removeTree, temporaryName, writeWhole } from "./disk.ts";
import type { Made } from "./journal.ts";
import { readLink, readText } from "./look.ts";
import { hasBlock } from "./shell-lines.ts";
import { neutralEnv } from "./step.ts";

/** What taking an entry back has come to, for the user: a line each. */
export interface Undone {
  removed: string[];
  /** What stays, and why. */
  kept: string[];
}

type EntryOf<M extends Made["made"]> = Extract<Made, { made: M }>;

/**
 * Takes back what the journal says was made, the last first, where it is there and still what it was. Whatever is done here may have
 * been done before, by a run that was interrupted.
 */
export function undoAll(entries: readonly Made[], machine: Machine): Undone {
  const done: Undone = { removed: [], kept: [] };
  // Commands first: they need programs and files that are among the rest.
  const isCommand = ({ made }: Made): boolean => made === "command";
  const order = [...entries.filter((entry) => !isCommand(entry)), ...entries.filter(isCommand)].reverse();
  for (const entry of order) undo(entry, entries, machine, done);
  return done;
}

/** `all`: a file that was made again later, by another run, has several entries, and may be as any of them says. */
function undo(entry: Made, all: readonly Made[], machine: Machine, done: Undone): void {
  switch (entry.made) {
    case "file":
      undoFile(entry, all, machine, done);
      break;
    case "link":
      undoLink(entry, all, done);
      break;
    case "block":
      undoBlock(entry, done);
      break;
    case "directory":
      if (existsSync(entry.path) && removeIfEmpty(entry.path)) done.removed.push(entry.path);
      break;
    case "tree":
      undoTree(entry, done);
      break;
    case "settings":
      undoSettings(entry, done);
      break;
    case "backup":
      undoBackup(entry, done);
      break;
    case "command":
      undoCommand(entry, machine, done);
  }
}

function undoTree({ path }: EntryOf<"tree">, done: Undone): void {
  if (!existsSync(path)) return;
  removeTree(path);
  done.removed.push(path);
}

/** Each only once: a file that was made twice has two entries. */
function keep(done: Undone, text: string): void {
  if (!done.kept.includes(text)) done.kept.push(text);
}

function undoFile({ path, afterwards }: EntryOf<"file">, all: readonly Made[], { run }: Machine, done: Undone): void {
  const text = readText(path);
  onDisk("remove", path, () => rmSync(temporaryName(path), { force: true }));
  if (text === undefined) return;
  const sum = sha256(text);
  if (!all.some((entry) => entry.made === "file" && entry.path === path && entry.sha256 === sum)) {
    keep(done, `${path}: it is not as it was installed`);
    return;
  }
  // One that an administrator wrote for several users has an entry of each.
  const endings = all.flatMap((entry) => (entry.made === "file" && entry.path === path ? (entry.endings ?? []) : []));
  for (const argv of new Map(endings.map((words) => [words.join(" "), words])).values()) run(argv, neutralEnv);
  removeFile(path);
  done.removed.push(path);
  if (afterwards !== undefined) run(afterwards, neutralEnv);
}

function undoLink({ path }: EntryOf<"link">, all: readonly Made[], done: Undone): void {
  onDisk("remove", path, () => rmSync(temporaryName(path), { force: true }));
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const target = readLink(path);
  if (!all.some((entry) => entry.made === "link" && entry.path === path && entry.target === target)) {
    keep(done, `${path}: it is not as it was installed`);
    return;
  }
  removeFile(path);
  done.removed.push(path);
}

function undoBlock({ path, text, created }: EntryOf<"block">, done: Undone): void {
  const found = readText(path);
  if (found === undefined) return;
  const file = realpathSync(path);
  onDisk("remove", path, () => rmSync(temporaryName(file), { force: true }));
  if (!found.includes(text)) {
    if (hasBlock(found)) keep(done, `${path}: the lines of rlkit install in it are not as they were`);
    return;
  }
  const rest = found.replace(text, "");
  if (created && rest.trim() === "") removeFile(path);
  else writeWhole(file, rest, statSync(file).mode & 0o777);
  done.removed.push(`${path}: the lines of rlkit install`);
}

/** Only what another program leaves when no setting is in it: `{}`, or `{"auths":{}}`. */
function undoSettings({ path }: EntryOf<"settings">, done: Undone): void {
  if (!existsSync(path)) return;
  try {
    const settings = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    if (Object.values(settings).every((value) => JSON.stringify(value) === "{}")) {
      removeFile(path);
      done.removed.push(path);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // no JSON: not for us to judge, so it stays
  }
}

function undoBackup({ path, backup }: EntryOf<"backup">, done: Undone): void {
  if (!existsSync(backup) && readLink(backup) === undefined) return;
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) keep(done, `${backup}: what was ${path} before`);
  else {
    onDisk("put back", path, () => renameSync(backup, path));
    done.removed.push(`${path}: what was there before is back`);
  }
}

function undoCommand({ what, undo: argv, keptForData }: EntryOf<"command">, { run }: Machine, done: Undone): void {
  if (keptForData) {
    keep(done, `${what}: files may belong to them; when those are gone: ${argv.join(" ")}`);
    return;
  }
  const { status, output } = run(argv, neutralEnv);
  if (status === 0) done.removed.push(what);
  else keep(done, `${what}: ${argv.join(" ")} says: ${output.trim().split("\n").at(-1) || `status ${status}`}`);
}
