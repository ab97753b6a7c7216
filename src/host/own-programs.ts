import { readdirSync } from "node:fs";
import { join } from "node:path";
import { binPath, targetPath } from "../native/paths.ts";

/** The programs of this tree: rlkit, and the names under which it stands in for RootlessKit and its companions. */
export function ownPrograms(): { name: string; path: string }[] {
  return [binPath(), targetPath()].flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => directory === binPath() || name === "rootlesskit-docker-proxy")
      .map((name) => ({ name, path: join(directory, name) })),
  );
}

/** Whether a path (the end of a chain of links) is a program of some tree of rlkit's. */
export const isOwnProgram = (path: string): boolean => /\/(bin\/rlkit|libexec\/rlkit-ns)$/.test(path);
