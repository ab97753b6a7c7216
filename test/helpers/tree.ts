import { access, chmod, cp, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

/** A copy of dist/ where every user can read it; the repository may lie under /root. */
export interface Tree extends AsyncDisposable {
  readonly path: string;
}

export async function copyTree(): Promise<Tree> {
  const dist = join(import.meta.dirname, "..", "..", "dist");
  try {
    await access(join(dist, "bin", "rlkit"));
  } catch (cause) {
    throw new Error(`${dist}/bin/rlkit is missing: run npm run build first`, { cause });
  }
  const path = await mkdtemp("/var/tmp/rlkit-tree-");
  await chmod(path, 0o755);
  // Links as they are: otherwise they would be made to point to the original.
  await cp(dist, path, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
