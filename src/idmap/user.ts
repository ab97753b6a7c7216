import { readIfThere, type SubidIo, type SubidUser } from "./source.ts";

/** A user as passwd(5) has it. `gid` is the primary group, the one that newgidmap lets the user map as its own. */
export interface User extends SubidUser {
  gid: number;
}

/** `alice (1001)`, or `uid 1001` for one without a name. */
export function describeUser({ name, uid }: SubidUser): string {
  return name === undefined ? `uid ${uid}` : `${name} (${uid})`;
}

/** The user in a line of passwd(5). */
function parseLine(line: string): User | undefined {
  const [name, , uid, gid] = line.split(":");
  return name && uid && gid ? { name, uid: Number(uid), gid: Number(gid) } : undefined;
}

/** The user with that name or decimal uid; by getent(1), which also knows directory services, or else from /etc/passwd. */
export function findUser(nameOrUid: string, io: Pick<SubidIo, "readFile" | "run">): User | undefined {
  const { status, stdout } = io.run(["getent", "passwd", nameOrUid]);
  if (status === 0) return parseLine(stdout);
  return (readIfThere(io, "/etc/passwd") ?? "")
    .split("\n")
    .map(parseLine)
    .find((user) => user?.name === nameOrUid || String(user?.uid) === nameOrUid);
}
