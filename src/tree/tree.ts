import { readFileSync, readlinkSync } from "node:fs";
import { argumentsOf, descendants, memoryOf, readProcess } from "../supervisor/processes.ts";

/** A process and those that it started. */
export interface ProcessNode {
  pid: number;
  /** rlkit's own by what they are: `rlkit`, `rlkit-ns init`; others by their programs. */
  name: string;
  /** The kinds of namespaces that differ from those of the process above all. */
  namespaces: string[];
  /** Resident, in bytes; null where it can't be read. */
  rss: number | null;
  children: ProcessNode[];
}

/** A mount that is inside and not outside. */
export interface InnerMount {
  target: string;
  type: string;
  /** Of which file system's directory, for a bind mount. */
  root: string;
}

const kinds = ["user", "mnt", "net", "pid", "uts", "ipc", "cgroup"];

function namespacesOf(pid: number): Record<string, string> {
  return Object.fromEntries(
    kinds.flatMap((kind) => {
      try {
        return [[kind, readlinkSync(`/proc/${pid}/ns/${kind}`)]];
      } catch {
        return []; // it has ended, or is somebody else's
      }
    }),
  );
}

/** What a process is called in the tree; `root` is the pid of the supervisor. */
function nameOf(pid: number, program: string, root: number): string {
  if (pid === root) return "rlkit";
  return program === "rlkit-ns" ? ["rlkit-ns", argumentsOf(pid)[1]].join(" ").trim() : program;
}

/** The processes of an instance, from its supervisor down. */
export function processTree(supervisor: number): ProcessNode {
  const outside = namespacesOf(supervisor);
  const all = descendants(supervisor);
  const node = (pid: number, program: string): ProcessNode => ({
    pid,
    name: nameOf(pid, program, supervisor),
    namespaces: Object.entries(namespacesOf(pid)).flatMap(([kind, id]) => (outside[kind] === id ? [] : [kind])),
    rss: memoryOf(pid) ?? null,
    children: all.filter(({ parent }) => parent === pid).map(({ pid: child, name }) => node(child, name)),
  });
  return node(supervisor, readProcess(supervisor)?.name ?? "");
}

/** The mounts of a process, from the text of its mountinfo (proc_pid_mountinfo(5)). */
export function parseMounts(mountinfo: string): InnerMount[] {
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , root = "", target = ""] = before.split(" ");
      return { target: unescaped(target), type: after.split(" ")[0] ?? "", root: unescaped(root) };
    });
}

/** Blanks and the like come as \040. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

const key = ({ target, type, root }: InnerMount): string => [target, type, root].join("\0");

/** The mounts that are inside and not outside, each as often as it is more there. */
export function innerMounts(inside: readonly InnerMount[], outside: readonly InnerMount[]): InnerMount[] {
  const there = new Map<string, number>();
  for (const mount of outside) there.set(key(mount), (there.get(key(mount)) ?? 0) + 1);
  return inside.filter((mount) => {
    const left = there.get(key(mount)) ?? 0;
    there.set(key(mount), left - 1);
    return left <= 0;
  });
}

/** Those of an instance, by the pids of its init and of its supervisor. */
export function mountsOf(init: number, supervisor: number): InnerMount[] {
  const [inside, outside] = [init, supervisor].map((pid) =>
    parseMounts(readFileSync(`/proc/${pid}/mountinfo`, "utf8")),
  );
  return innerMounts(inside ?? [], outside ?? []).sort((a, b) => (a.target < b.target ? -1 : 1));
}
