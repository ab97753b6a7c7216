import { existsSync } from "node:fs";
import { type Machine, thisMachine } from "../host/machine.ts";
import { isAbove, Journal, type Made } from "./journal.ts";
import type { Layout } from "./layout.ts";
import { type Undone, undoAll } from "./undo.ts";

/** What was removed, and what not; undefined if nothing was installed. */
export async function uninstall({ directory }: Layout, env: Machine["env"]): Promise<Undone | undefined> {
  const journal = await Journal.find(directory);
  if (journal === undefined) return undefined;
  try {
    const made = journal.entries.filter((entry): entry is Made => "made" in entry);
    // The directories above the journal go with it, at the end: until then a second run has to find it.
    const holds = (entry: Made): boolean => entry.made === "directory" && isAbove(entry.path, directory);
    const done = undoAll(
      made.filter((entry) => !holds(entry)),
      thisMachine(env, journal.lock),
    );
    journal.remove();
    for (const entry of made.filter(holds)) {
      if ("path" in entry && !existsSync(entry.path)) done.removed.push(entry.path);
    }
    return done;
  } finally {
    journal.close();
  }
}
