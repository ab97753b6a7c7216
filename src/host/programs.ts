import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/** A program as execvp(3) would find it on `path`; an empty part of `path` is the working directory. A name with a slash is a path. */
export function findProgram(name: string, path: string): string | undefined {
  const candidates = name.includes("/") ? [name] : path.split(":").map((dir) => join(dir || ".", name));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false; // not there or not ours to run: the search goes on
    }
  });
}
