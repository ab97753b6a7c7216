import { lstatSync, realpathSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Machine } from "../host/machine.ts";
import { isOwnProgram } from "../host/own-programs.ts";
import { sha256 } from "./checksum.ts";
import { linkWhole, makeDirectory, missingDirectories, onDisk, writeWhole } from "./disk.ts";
import type { Entry, Journal, Made } from "./journal.ts";
import { type Found, look, readLink, readText } from "./look.ts";
import { hasBlock } from "./shell-lines.ts";
import { neutralEnv, type Step } from "./step.ts";

/** What has become of a step. */
type Outcome = "made" | "there" | "changed";

/** A step and its outcome. */
export interface Report {
  step: Step;
  outcome: Outcome;
}

interface CarryOut {
  journal: Journal;
  machine: Machine;
  signal: AbortSignal;
  /** What is in the way is moved aside. */
  force: boolean;
}

type StepOf<D extends Step["do"]> = Extract<Step, { do: D }>;

/** Throws if something is in the way that is not ours: before anything is changed. */
export function checkObstacles(steps: readonly Step[], journal: Pick<Journal, "entries">): void {
  const inTheWay = steps.flatMap((step) => {
    if (step.do !== "file" && step.do !== "link") return [];
    return found(step, journal.entries) === "foreign" ? [step.path] : [];
  });
  if (inTheWay.length === 0) return;
  throw new RlkitError("INSTALL", `in the way, and not made by rlkit: ${inTheWay.join(", ")}; nothing was changed`, {
    hint: "move it away, name another directory (--bin-dir), or have it moved aside until rlkit uninstall puts it back: --force",
  });
}

/** Links to another tree of rlkit's are as good as ours: `rlkit link` may have made them. */
function found(step: StepOf<"file"> | StepOf<"link">, entries: readonly Entry[]): Found {
  const seen = look(step, entries);
  const target = step.do === "link" ? readLink(step.path) : undefined;
  return seen === "foreign" && target !== undefined && isOwnProgram(target) ? "ours" : seen;
}

/**
 * Carries the steps out. Each is written to the journal before it is begun, so a run that is killed is finished by the next one, or
 * taken back by `rlkit uninstall`. When a step fails, what had replaced something of an earlier installation is put back here; the
 * rest is in the journal, for the caller to take back.
 */
export function carryOut(steps: readonly Step[], run: CarryOut): Report[] {
  const transaction = new Transaction(run);
  try {
    return steps.map((step) => {
      run.signal.throwIfAborted();
      return { step, outcome: transaction.do(step) };
    });
  } catch (error) {
    transaction.restore();
    throw error;
  }
}

class Transaction {
  readonly #run: CarryOut;
  readonly #restores: (() => void)[] = [];

  constructor(run: CarryOut) {
    this.#run = run;
  }

  /** Puts back what was replaced. */
  restore(): void {
    for (const each of this.#restores.reverse()) each();
  }

  do(step: Step): Outcome {
    switch (step.do) {
      case "directory":
        return this.#directories(step.path, step.mode) ? "made" : "there";
      case "file":
      case "link":
        return this.#place(step);
      case "block":
        return this.#block(step);
      case "settings":
        if (lstatSync(step.path, { throwIfNoEntry: false }) === undefined)
          this.#record({ made: "settings", path: step.path });
        return "there";
      case "leavings":
        if (lstatSync(step.path, { throwIfNoEntry: false }) === undefined)
          this.#record({ made: "tree", path: step.path });
        return "there";
      case "command":
        return this.#command(step);
    }
  }

  #record(entry: Made): void {
    this.#run.journal.add(entry);
  }

  #directories(path: string, mode: number): boolean {
    const missing = missingDirectories(path);
    for (const directory of missing) {
      this.#record({ made: "directory", path: directory });
      makeDirectory(directory, mode);
    }
    return missing.length > 0;
  }

  #place(step: StepOf<"file"> | StepOf<"link">): Outcome {
    const { journal, force } = this.#run;
    const seen = found(step, journal.entries);
    if (seen === "there") return "there";
    if (seen === "changed" && !force) return "changed";
    this.#directories(dirname(step.path), 0o755);
    if (seen === "foreign" || seen === "changed") this.#moveAside(step.path);
    // What an earlier installation made is replaced; should this one fail, it comes back.
    const restore = seen === "ours" ? this.#keeper(step) : undefined;
    this.#record(
      step.do === "link"
        ? { made: "link", path: step.path, target: step.target }
        : {
            made: "file",
            path: step.path,
            sha256: sha256(step.content),
            ...(step.afterwards && { afterwards: step.afterwards }),
            ...(step.endings && { endings: step.endings }),
          },
    );
    if (restore !== undefined) this.#restores.push(restore);
    if (step.do === "link") linkWhole(step.path, step.target);
    else {
      writeWhole(step.path, step.content, step.mode);
      if (step.afterwards !== undefined) this.#execute(step.afterwards);
    }
    return "made";
  }

  #keeper(step: StepOf<"file"> | StepOf<"link">): () => void {
    const { path } = step;
    const target = readLink(path);
    if (target !== undefined) return () => linkWhole(path, target);
    const [text, mode] = [readText(path) ?? "", statSync(path).mode & 0o777];
    const afterwards = step.do === "file" ? step.afterwards : undefined;
    return () => {
      writeWhole(path, text, mode);
      if (afterwards !== undefined) this.#run.machine.run(afterwards, neutralEnv);
    };
  }

  #moveAside(path: string): void {
    const backup = `${path}.before-rlkit`;
    if (lstatSync(backup, { throwIfNoEntry: false }) !== undefined) {
      throw new RlkitError("INSTALL", `cannot move ${path} aside: ${backup} is there already`, {
        hint: "move one of them away",
      });
    }
    this.#record({ made: "backup", path, backup });
    onDisk("move aside", path, () => renameSync(path, backup));
  }

  #block({ path, text }: StepOf<"block">): Outcome {
    const before = readText(path);
    if (before?.includes(text)) return "there";
    if (before !== undefined && hasBlock(before)) return this.#changedBlock(path, before, text);
    this.#directories(dirname(path), 0o755);
    this.#record({ made: "block", path, text, created: before === undefined });
    // A profile is often a link into a directory of such files: the link stays.
    const file = before === undefined ? path : realpathSync(path);
    const mode = before === undefined ? 0o644 : statSync(file).mode & 0o777;
    const separator = before === undefined || before === "" || before.endsWith("\n") ? "" : "\n";
    writeWhole(file, `${before ?? ""}${separator}${text}`, mode);
    return "made";
  }

  /** Lines of an earlier installation are replaced by the new ones; lines that the user has changed stay. */
  #changedBlock(path: string, before: string, text: string): Outcome {
    const { journal } = this.#run;
    const old = journal.entries.findLast(
      (entry) => "made" in entry && entry.made === "block" && entry.path === path && before.includes(entry.text),
    );
    if (old === undefined || !("made" in old) || old.made !== "block") return "changed";
    journal.add({ made: "block", path, text, created: old.created });
    const file = realpathSync(path);
    const mode = statSync(file).mode & 0o777;
    this.#restores.push(() => writeWhole(file, before, mode));
    writeWhole(
      file,
      before.replace(old.text, () => text),
      mode,
    );
    return "made";
  }

  #command({ argv, what, unless, undo: takenBackBy, keptForData, instance }: StepOf<"command">): Outcome {
    const { machine } = this.#run;
    if (unless !== undefined) {
      const { status, output } = machine.run(unless.argv, neutralEnv);
      if (status === 0 && (unless.prints === undefined || output.trim() === unless.prints)) return "there";
    }
    if (takenBackBy !== undefined) {
      this.#record({
        made: "command",
        what,
        undo: takenBackBy,
        ...(keptForData && { keptForData }),
        ...(instance !== undefined && { instance }),
      });
    }
    this.#execute(argv);
    return "made";
  }

  #execute(argv: readonly string[]): void {
    const { status, output } = this.#run.machine.run(argv, neutralEnv);
    if (status === 0) return;
    const said = output.trim().split("\n").at(-1) || `status ${status}`;
    throw new RlkitError("INSTALL", `"${argv.join(" ")}" failed: ${said}`, {
      hint: "what was made before it was taken back; see what stands in its way, and run the same command again",
    });
  }
}
