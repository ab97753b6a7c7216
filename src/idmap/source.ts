import { isErrno, RlkitError } from "../errors.ts";
import { ID_LIMIT, type IdRange, withoutOverlaps } from "./ranges.ts";
import { ownEntries } from "./subid-file.ts";

/** `--subid-source`: ask getsubids(1), read the files, or let /etc/nsswitch.conf decide. */
export type SubidSource = "auto" | "dynamic" | "static";

/** How a program ended. `status` is 127 if there is none of that name, and never 0 if a signal ended it. */
export interface RunResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** The outer world, as parameters. */
export interface SubidIo {
  /** The text of a file; throws as fs.readFileSync does. */
  readFile(path: string): string;
  /** Runs a program, found on PATH, and waits for it. */
  run(argv: readonly string[]): RunResult;
  env: Readonly<Record<string, string | undefined>>;
}

/** Whose ranges are wanted. `name` is undefined for a uid without passwd entry. */
export interface SubidUser {
  name: string | undefined;
  uid: number;
}

/** The ranges of a user in the order they were given, no id twice. None is no error here; `from` says where it was looked. */
export interface Delegated {
  ranges: IdRange[];
  from: string;
}

export type IdKind = "uid" | "gid";

/** Both kinds; gids, too, are delegated to a user and not to a group. */
export type Delegation = Record<IdKind, Delegated>;

/** The names a user goes by as an owner of ranges. */
const owners = (user: SubidUser): string[] => [...(user.name === undefined ? [] : [user.name]), String(user.uid)];

/** The file's text, undefined if there is no such file. */
export function readIfThere(io: Pick<SubidIo, "readFile">, path: string): string | undefined {
  try {
    return io.readFile(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    return undefined;
  }
}

/**
 * The service that nsswitch.conf names for sub-ids ("sss"), undefined for the files. Read as shadow's lib/nss.c does, and so as
 * newuidmap does: the first `subid:` line that names anything counts, and of it the first word.
 */
export function subidService(nsswitch: string): string | undefined {
  for (const line of nsswitch.split("\n")) {
    if (line.slice(0, 6).toLowerCase() !== "subid:") continue;
    const [service] = line.slice(6).trim().split(/[ \t]/);
    if (service) return service === "files" ? undefined : service;
  }
  return undefined;
}

/** Where subuid(5) and subgid(5) are. */
export const subidFile = (kind: IdKind): string => `/etc/sub${kind}`;

function fromFile(kind: IdKind, user: SubidUser, io: SubidIo): Delegated {
  const path = subidFile(kind);
  const text = readIfThere(io, path);
  if (text === undefined) return { ranges: [], from: `${path} (no such file)` };
  const ranges = ownEntries(path, text, owners(user)).map(({ start, length }) => ({ start, length }));
  return { ranges: withoutOverlaps(ranges), from: path };
}

const fromFiles = (user: SubidUser, io: SubidIo): Delegation => ({
  uid: fromFile("uid", user, io),
  gid: fromFile("gid", user, io),
});

/**
 * The ranges in getsubids's output, lines of `N: name start count`; undefined if it has none such, or one that is no range.
 * Other lines are notes, as that the service's plugin is missing.
 */
function parseOutput(output: string): IdRange[] | undefined {
  if (output.trim() === "") return [];
  const matches = [...output.matchAll(/^\d+: .+ (\d{1,10}) (\d{1,10})$/gm)];
  const ranges = matches.map(([, start, length]) => ({ start: Number(start), length: Number(length) }));
  const sound = ranges.length > 0 && ranges.every(({ start, length }) => length > 0 && start + length <= ID_LIMIT);
  return sound ? ranges : undefined;
}

function fromProgram(kind: IdKind, user: SubidUser, io: SubidIo): Delegated {
  const program = io.env.GETSUBIDS || "getsubids";
  const ranges: IdRange[] = [];
  const failures: string[] = [];
  const names = owners(user);
  // A service may list a range under the name and another under the uid.
  for (const owner of names) {
    const argv = [program, ...(kind === "gid" ? ["-g"] : []), owner];
    const { status, stdout, stderr } = io.run(argv);
    const found = status === 0 ? parseOutput(stdout) : undefined;
    if (found) ranges.push(...found);
    else {
      const [said] = (status === 0 ? stdout : stderr).trim().split("\n");
      failures.push(`${argv.join(" ")}: ${said || `exit status ${status}`}`);
    }
  }
  if (failures.length === names.length) {
    throw new RlkitError("GETSUBIDS", `cannot get the sub-ids: ${failures.join("; ")}`, {
      hint: "read /etc/subuid and /etc/subgid instead with: --subid-source=static",
    });
  }
  return { ranges: withoutOverlaps(ranges), from: program };
}

const fromPrograms = (user: SubidUser, io: SubidIo): Delegation => ({
  uid: fromProgram("uid", user, io),
  gid: fromProgram("gid", user, io),
});

/**
 * The ranges that are delegated to a user. Throws SUBID_FILE for a malformed line of the user's, and GETSUBIDS if that program
 * failed for the name and for the uid and `source` allows nothing else.
 *
 * `auto` asks getsubids first only if nsswitch.conf names a service other than the files. Otherwise getsubids would read the
 * same two files, which costs four processes of 1 ms each.
 */
export function readDelegation(source: SubidSource, user: SubidUser, io: SubidIo): Delegation {
  if (source === "static") return fromFiles(user, io);
  if (source === "dynamic") return fromPrograms(user, io);
  const service = subidService(readIfThere(io, "/etc/nsswitch.conf") ?? "");
  if (service === undefined) return fromFiles(user, io);
  // shadow itself falls back to the files when the service's plugin is missing. One kind of ids without the other is no use.
  const asked = orUndefined(() => fromPrograms(user, io));
  if (asked && asked.uid.ranges.length > 0 && asked.gid.ranges.length > 0) return asked;
  const { uid, gid } = fromFiles(user, io);
  const note = `, as getsubids (${service}) gave none`;
  return { uid: { ...uid, from: uid.from + note }, gid: { ...gid, from: gid.from + note } };
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RlkitError && error.code === "GETSUBIDS")) throw error;
    return undefined;
  }
}
