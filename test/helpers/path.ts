import { mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { nodeDirectory } from "./environment.ts";
import type { User } from "./user.ts";

/** Every program that a user finds in these directories, but for those named: as if their packages were not installed. */
export async function pathWithout(user: User, ...names: string[]): Promise<string> {
  const path = join(user.home, "path");
  await mkdir(path, { recursive: true });
  for (const directory of ["/usr/sbin", "/usr/bin", "/usr/local/bin"]) {
    for (const name of await readdir(directory)) {
      if (!names.includes(name)) await symlink(join(directory, name), join(path, name)).catch(ignoreExisting);
    }
  }
  await symlink(join(nodeDirectory(), "node"), join(path, "node")).catch(ignoreExisting);
  return path;
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error; // an earlier directory has one of that name
}
