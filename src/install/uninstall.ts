import { existsSync } from "node:fs";
import { type Machine, thisMachine } from "../host/machine.ts";
import { type Entry, isAbove, Journal, type Made, peekJournal } from "./journal.ts";
import type { Layout } from "./layout.ts";
import { type Undone, undoAll } from "./undo.ts";

/**
 * Takes back what was installed. Resolves to what was removed, and what not; undefined if nothing was installed. `then` is done when the
 * daemon's service is no more, and before the last directories go. Whatever ends it midway, it can be run again.
 */
export async function uninstall(
  { directory }: Layout,
  env: Machine["env"],
  then: () => void = () => {},
): Promise<Undone | undefined> {
  const journal = await Journal.find(directory);
  if (journal === undefined) {
    then();
    return undefined;
  }
  try {
    const made = journal.entries.filter((entry): entry is Made => "made" in entry);
    // The directories above the journal go with it, at the end: until then a second run has to find it.
    const [above, others] = [
      made.filter((entry) => holds(entry, directory)),
      made.filter((entry) => !holds(entry, directory)),
    ];
    const machine = thisMachine(env, journal.lock);
    const done = undoAll(others, machine);
    then();
    // What was in them may have gone just now.
    const directories = others.filter(({ made }) => made === "directory");
    done.removed.push(...undoAll(directories, machine).removed);
    journal.remove();
    done.removed.push(...above.flatMap((entry) => ("path" in entry && !existsSync(entry.path) ? [entry.path] : [])));
    return done;
  } finally {
    journal.close();
  }
}

/**
 * Takes back what an installation has made for one instance. Resolves to what was removed, and what not; undefined if there is no such
 * instance.
 */
export async function uninstallInstance(
  { directory }: Layout,
  env: Machine["env"],
  instance: string,
): Promise<Undone | undefined> {
  const journal = await Journal.find(directory);
  if (journal === undefined) return undefined;
  try {
    const ofIt = (entry: Entry): boolean => "made" in entry && entry.made === "command" && entry.instance === instance;
    if (!instancesOf(journal.entries).includes(instance)) return undefined;
    const made = journal.entries.filter((entry): entry is Made => ofIt(entry));
    const done = undoAll(made, thisMachine(env, journal.lock));
    journal.rewrite(journal.entries.filter((entry) => !ofIt(entry)).map((entry) => without(entry, instance)));
    return done;
  } finally {
    journal.close();
  }
}

function without(entry: Entry, instance: string): Entry {
  if (!("begin" in entry)) return entry;
  const instances = entry.settings.instances?.filter((name) => name !== instance);
  return { ...entry, settings: { ...entry.settings, ...(instances && { instances }) } };
}

const instancesOf = (entries: readonly Entry[]): readonly string[] =>
  entries.findLast((entry) => "begin" in entry)?.settings.instances ?? [];

/** The names of the instances that are installed, besides the one without a name. */
export const installedInstances = ({ directory }: Layout): readonly string[] => instancesOf(peekJournal(directory));

const holds = (entry: Made, directory: string): boolean => entry.made === "directory" && isAbove(entry.path, directory);

/** Whether taking back what was installed ends the daemon: as its service is disabled, or by what is run before its file goes. */
export const stopsService = ({ directory }: Layout): boolean =>
  peekJournal(directory).some(
    (entry) =>
      "made" in entry &&
      ((entry.made === "command" && entry.undo.includes("--now")) ||
        (entry.made === "file" && entry.endings !== undefined)),
  );
