import { lstatSync, readlinkSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { RlkitError } from "../errors.ts";
import { makeDirectories } from "../host/directories.ts";
import { isOwnProgram, ownPrograms } from "../host/own-programs.ts";
import { manPath } from "../native/paths.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./options.ts";

type Found = "nothing" | "ours" | "foreign";

function look(link: string, path: string): Found {
  const found = lstatSync(link, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  if (!found.isSymbolicLink()) return "foreign";
  try {
    // Another tree of rlkit's: it is replaced.
    return readlinkSync(link) === path || isOwnProgram(realpathSync(link)) ? "ours" : "foreign";
  } catch {
    return isOwnProgram(readlinkSync(link)) ? "ours" : "foreign"; // to a tree that is gone
  }
}

/** man(1) looks beside the directories on PATH, and does not follow the links in them. */
function manNote(): string {
  if ((process.env.MANPATH ?? "").split(":").includes(manPath())) return "";
  return `for the man pages: export MANPATH=${manPath()}:$MANPATH\n`;
}

async function run({ values, command: [given, ...more] }: Parsed): Promise<number> {
  if (given === undefined || more.length > 0) {
    throw new RlkitError("USAGE", "rlkit link takes one directory", {
      hint: "name one that is on PATH before the others: rlkit link ~/bin",
    });
  }
  const directory = resolve(given);
  const all = ownPrograms().map(({ name, path }) => ({ name, path, link: join(directory, name) }));
  const foreign = all.filter(({ link, path }) => look(link, path) === "foreign");
  if (foreign.length > 0 && values.force !== true) {
    const names = foreign.map(({ link }) => link).join(", ");
    throw new RlkitError("USAGE", `in the way, and not links of rlkit's: ${names}; nothing was changed`, {
      hint: "name another directory, or replace them: rlkit link --force",
    });
  }
  try {
    makeDirectories(directory, 0o755);
    for (const { link, path } of all) {
      rmSync(link, { force: true });
      symlinkSync(path, link);
    }
  } catch (cause) {
    throw new RlkitError("USAGE", `cannot make links in ${directory}: ${(cause as Error).message}`, { cause });
  }
  const isFound = (process.env.PATH ?? "").split(":").includes(directory);
  const note = isFound ? "" : `${directory} is not on PATH: export PATH=${directory}:$PATH\n`;
  return printed(`${all.map(({ link, path }) => `${link} -> ${path}\n`).join("")}${note}${manNote()}`);
}

/** `rlkit link`: the names under which rlkit replaces RootlessKit and its companions, in a directory on PATH. */
export const command: Command = {
  name: "link",
  operands: "DIR",
  completes: "directory",
  describe: "Put links to rlkit into a directory on PATH: rootlesskit, rootlessctl, dockerd-rootless.sh and others",
  options: { force: { type: "boolean", describe: "replace programs of the same names" } },
  optionsAnywhere: true,
  run,
};
