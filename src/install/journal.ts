import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
} from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { isErrno, RlkitError } from "../errors.ts";
import { flock } from "../native/calls.ts";
import {
  missingDirectories,
  onDisk,
  removeFile,
  removeIfEmpty,
  removeTree,
  syncDirectory,
  writeAll,
  writeWhole,
} from "./disk.ts";
import type { Init } from "./facts.ts";
import type { Source } from "./source.ts";

/** What an installation was told, besides its source: the next one takes what it is not told from here. */
export interface Settings {
  bin?: string;
  init?: Init;
  socket?: boolean;
  context?: boolean;
  shellProfile?: string;
  dockerdArgs?: readonly string[];
  /** The names of the instances that start with the session, besides the one without a name. */
  instances?: readonly string[];
}

/** Something that may be there, and if it is as described here it is ours. */
export type Made =
  /** A directory that was not there before; it is removed when nothing is in it. */
  | { made: "directory"; path: string }
  /** A directory with nothing in it that is not ours, or a file. */
  | { made: "tree"; path: string }
  /** `endings`, `afterwards`: what is run before the file is removed, and when it has been. */
  | {
      made: "file";
      path: string;
      sha256: string;
      afterwards?: readonly string[];
      endings?: readonly (readonly string[])[];
    }
  | { made: "link"; path: string; target: string }
  /** Lines in a file of the user's; `created`: there was no such file before. */
  | { made: "block"; path: string; text: string; created: boolean }
  /** A file of settings that another program makes and keeps; it is removed when no setting is in it. */
  | { made: "settings"; path: string }
  /** What was in the way, under another name. */
  | { made: "backup"; path: string; backup: string }
  /** A command was run; `undo` takes back what it did. `what` names that. */
  | { made: "command"; what: string; undo: readonly string[]; keptForData?: true; instance?: string };

/** A run begins; without `end` after it, it was interrupted. */
interface Begin {
  begin: Source;
  settings: Settings;
}

/** A line of the journal. It is written, and on the disk, before the thing itself is begun. */
export type Entry = Begin | { end: true } | Made;

const FILE = "journal.jsonl";
/** The directories above the journal are made under this name, with the journal in them, and get their own by one rename. */
const UNBORN = ".rlkit-install.new";
const PATIENCE = 60_000; // milliseconds for another rlkit to end
const LOOK_EVERY = 50;

/** The journal of an installation, locked: one process at a time. */
export class Journal {
  readonly directory: string;
  readonly entries: Entry[];
  /** The descriptor that holds the lock. */
  readonly lock: number;

  private constructor(directory: string, lock: number) {
    this.directory = directory;
    this.lock = lock;
    const { entries, isCutOff } = parseEntries(join(directory, FILE));
    this.entries = entries;
    if (isCutOff) this.rewrite([...entries]);
  }

  /** Opens the journal of a directory, and begins one where there is none. Waits for another process that has it. */
  static async open(directory: string): Promise<Journal> {
    for (;;) {
      await create(directory);
      const lock = await lockDirectory(directory);
      if (isStill(directory, lock)) {
        const file = join(directory, FILE);
        if (!existsSync(file)) writeWhole(file, "", 0o600);
        return new Journal(directory, lock);
      }
      closeSync(lock); // the process that had it has removed it
    }
  }

  /** The journal of a directory; undefined if there is none, after traces of one that was never finished are removed. */
  static async find(directory: string): Promise<Journal | undefined> {
    await removeUnborn(directory);
    const file = join(directory, FILE);
    if (!existsSync(file)) return undefined;
    const lock = await lockDirectory(directory);
    if (isStill(directory, lock) && existsSync(file)) return new Journal(directory, lock);
    closeSync(lock);
    return undefined;
  }

  /** Adds an entry, unless it is there already, and returns when it is on the disk. */
  add(entry: Entry): void {
    if (this.entries.some((each) => "made" in each && isDeepStrictEqual(each, entry))) return;
    const path = join(this.directory, FILE);
    onDisk("write", path, () => {
      const fd = openSync(path, "a", 0o600);
      const { size } = fstatSync(fd);
      try {
        writeAll(fd, Buffer.from(`${JSON.stringify(entry)}\n`));
        fsyncSync(fd);
      } catch (error) {
        ftruncateSync(fd, size); // half a line would spoil the next
        throw error;
      } finally {
        closeSync(fd);
      }
    });
    this.entries.push(entry);
  }

  /** The run that began last. */
  get last(): Begin | undefined {
    return this.entries.findLast((entry) => "begin" in entry);
  }

  /** Replaces all entries. */
  rewrite(entries: readonly Entry[]): void {
    writeWhole(join(this.directory, FILE), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), 0o600);
    this.entries.splice(0, Number.POSITIVE_INFINITY, ...entries);
  }

  /** Removes the journal, its directory if nothing else is in it, and the directories that were made for it. */
  remove(): void {
    removeFile(join(this.directory, FILE));
    removeIfEmpty(this.directory);
    for (const entry of this.entries.toReversed()) {
      if ("made" in entry && entry.made === "directory" && isAbove(entry.path, this.directory))
        removeIfEmpty(entry.path);
    }
  }

  close(): void {
    closeSync(this.lock);
  }
}

/** Whether a path is that directory or one above it. */
export const isAbove = (path: string, directory: string): boolean => `${directory}${sep}`.startsWith(`${path}${sep}`);

/** The entries of a directory's journal, if there is one; it is neither locked nor changed. */
export function peekJournal(directory: string): Entry[] {
  return parseEntries(join(directory, FILE)).entries;
}

function parseEntries(file: string): { entries: Entry[]; isCutOff: boolean } {
  if (!existsSync(file)) return { entries: [], isCutOff: false };
  const text = onDisk("read", file, () => readFileSync(file, "utf8"));
  // A killed run may have left half a line: what it announced was never begun.
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  try {
    const lines = whole.split("\n").filter(Boolean);
    return { entries: lines.map((line) => JSON.parse(line) as Entry), isCutOff: whole.length < text.length };
  } catch (cause) {
    throw new RlkitError("INSTALL", `${file} is damaged: ${(cause as Error).message}`, {
      hint: "it says what was installed: restore it, or remove its directory and the links in ~/bin by hand",
      cause,
    });
  }
}

/**
 * Makes the directory, if it is not there, with a journal in it. A kill at any moment leaves nothing that a later run does not know
 * of: directories which were not there before appear together with the journal that says so.
 */
async function create(directory: string): Promise<void> {
  await removeUnborn(directory);
  const [first] = missingDirectories(directory);
  if (first === undefined) return;
  const lock = await lockDirectory(dirname(first));
  try {
    const missing = missingDirectories(directory);
    if (missing[0] !== first) return await create(directory); // somebody else has made it meanwhile
    const unborn = join(dirname(first), UNBORN);
    const inside = join(unborn, relative(first, directory));
    const lines = missing.map((path) => `${JSON.stringify({ made: "directory", path } satisfies Entry)}\n`);
    try {
      onDisk("make the directory", directory, () => {
        mkdirSync(inside, { recursive: true, mode: 0o755 });
        writeWhole(join(inside, FILE), lines.join(""), 0o600);
        renameSync(unborn, first);
        syncDirectory(dirname(first));
      });
    } catch (error) {
      removeTree(unborn);
      throw error;
    }
  } finally {
    closeSync(lock);
  }
}

/** What a run that was killed while it made the directories has left, at one of the places where that may have been. */
async function removeUnborn(directory: string): Promise<void> {
  for (let above = dirname(directory); above !== dirname(above); above = dirname(above)) {
    const unborn = join(above, UNBORN);
    if (!existsSync(unborn)) continue;
    const lock = await lockDirectory(above);
    removeTree(unborn);
    closeSync(lock);
  }
}

/** Whether the locked directory is the one that has that name now. */
function isStill(directory: string, lock: number): boolean {
  const now = statSync(directory, { bigint: true, throwIfNoEntry: false });
  const locked = fstatSync(lock, { bigint: true });
  return now?.ino === locked.ino && now.dev === locked.dev;
}

async function lockDirectory(directory: string): Promise<number> {
  const fd = onDisk("open", directory, () => openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY));
  for (const end = performance.now() + PATIENCE; ; await pause(LOOK_EVERY)) {
    try {
      flock(fd, "exclusive", directory);
      return fd;
    } catch (cause) {
      if (isErrno(cause, "EAGAIN") && performance.now() < end) continue;
      closeSync(fd);
      if (!isErrno(cause, "EAGAIN")) throw cause;
      const hint = "wait until the other rlkit install or uninstall has ended";
      throw new RlkitError("INSTALL", `${directory} is in use by another rlkit`, { hint, cause });
    }
  }
}
