import { dirname, join, normalize } from "node:path";
import type { Header } from "tar-stream";
import { RlkitError } from "../errors.ts";

/** What an archive may hold at most. Docker's have 20 files and a quarter of a gibibyte. */
export const limits = { entries: 1000, bytes: 4 * 2 ** 30, name: 1024 } as const;

/** An entry of an archive, checked: where it goes below the directory that is unpacked into. */
export type TarEntry =
  | { kind: "file"; path: string; mode: number; size: number }
  | { kind: "directory"; path: string }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "link"; path: string; target: string };

const HINT = "nothing of it was installed; get the archive from a place that you trust";

/** The refusal of an archive: what about it is wrong. */
export const refused = (archive: string, why: string, cause?: unknown): RlkitError =>
  new RlkitError("ARCHIVE", `${archive} is not unpacked: ${why}`, { hint: HINT, cause });

/**
 * Checks one header. Throws an ARCHIVE error for what would leave the directory, or what no archive of programs has. Modes are
 * kept but for set-user-id and the like, and for writing by others: what lies on PATH is nobody else's to change.
 */
export function checkEntry(archive: string, header: Header): TarEntry {
  const { name, type, linkname } = header;
  const path = inside(archive, name, name);
  switch (type) {
    case "file":
    case "contiguous-file":
      if (path === ".") throw refused(archive, `an entry has no name`);
      return { kind: "file", path, mode: (header.mode ?? 0o644) & 0o755, size: header.size ?? 0 };
    case "directory":
      return { kind: "directory", path };
    case "symlink":
      if (!linkname || linkname.startsWith("/")) throw refused(archive, leads(name, linkname));
      if (leaves(join(dirname(path), linkname))) throw refused(archive, leads(name, linkname));
      return { kind: "symlink", path, target: linkname };
    case "link":
      return { kind: "link", path, target: inside(archive, linkname ?? "", name) };
    default:
      throw refused(
        archive,
        `${shown(name)} is a ${type ?? "thing of an unknown type"}, and not a file, directory or link`,
      );
  }
}

const leads = (name: string, target: string | null | undefined): string =>
  `the link ${shown(name)} leads out of it, to ${shown(target ?? "")}`;

const leaves = (path: string): boolean => path === ".." || path.startsWith("../");

/** A path of an archive, normalized; throws if it leads out. `name` is the entry that has it. */
function inside(archive: string, path: string, name: string): string {
  if (path === "" || path.includes("\0") || path.length > limits.name)
    throw refused(archive, `${shown(name)} has a path that it can't have`);
  if (path.startsWith("/")) throw refused(archive, `${shown(path)} is an absolute path`);
  if (path.split("/").includes("..")) throw refused(archive, `${shown(path)} leads out of it`);
  return normalize(path).replace(/\/+$/, "");
}

/** A name of an archive for a terminal: it may hold anything. */
export const shown = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
