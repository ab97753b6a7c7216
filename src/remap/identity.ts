import { RlkitError } from "../errors.ts";
import { parseDecimal } from "../idmap/ranges.ts";
import { readIfThere, type SubidIo } from "../idmap/source.ts";
import { findUser, type User } from "../idmap/user.ts";

/** Files and programs of a machine, as far as users and their sub-ids are concerned. */
export type AccountIo = Pick<SubidIo, "readFile" | "run">;

/** What a value of dockerd's userns-remap names. */
export interface RemapSpec {
  /** Name or uid. */
  user: string;
  /** Name or gid. */
  group: string;
  /** The value was `default`: dockerd itself makes this user when there is none. */
  isDefault: boolean;
}

/** The user and group whom dockerd finds for such a value. */
export interface RemapIdentity {
  user: User & { name: string };
  /** The group's name. dockerd wants it to exist; its ranges count only before Docker 20.10. */
  group: string;
}

/** Whom `default` stands for. */
const DEFAULT_USER = "dockremap";

/** Reads user, user:group, uid, uid:gid or default. Without a group, dockerd takes the one whose name (or gid) is the user's. */
export function parseRemapSpec(value: string): RemapSpec {
  const [given = "", group, ...more] = value.split(":");
  if (given === "" || group === "" || more.length > 0) {
    throw new RlkitError("USAGE", `${JSON.stringify(value)} is no value of userns-remap`, {
      hint: "write user, user:group, uid, uid:gid, or default",
    });
  }
  const isDefault = given === "default";
  const user = isDefault ? DEFAULT_USER : given;
  return { user, group: group ?? user, isDefault };
}

/** The name in the lines of group(5); by getent(1), or else from /etc/group. */
function findGroup(nameOrGid: string, io: AccountIo): string | undefined {
  const { status, stdout } = io.run(["getent", "group", nameOrGid]);
  const lines = (status === 0 ? stdout : (readIfThere(io, "/etc/group") ?? "")).split("\n");
  const field = parseDecimal(nameOrGid) === undefined ? 0 : 2;
  return lines.map((line) => line.split(":")).find((fields) => fields[field] === nameOrGid)?.[0];
}

/** The user of a value of userns-remap. Throws USAGE if there is none. */
export function findRemapUser({ user: wanted, isDefault }: RemapSpec, io: AccountIo): User & { name: string } {
  const user = findUser(wanted, io);
  if (user?.name !== undefined) return { ...user, name: user.name };
  const hint = isDefault
    ? 'dockerd makes it when it starts with "userns-remap": "default"; until then there is no map'
    : `make it: sudo useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${wanted}`;
  const isUid = parseDecimal(wanted) !== undefined;
  throw new RlkitError("USAGE", `there is no user ${isUid ? `with uid ${wanted}` : wanted}`, isUid ? {} : { hint });
}

/** The group's name of a value of userns-remap. Throws USAGE if there is none: dockerd does not start then. */
export function findRemapGroup({ group: wanted }: RemapSpec, io: AccountIo): string {
  const group = findGroup(wanted, io);
  if (group !== undefined) return group;
  const isGid = parseDecimal(wanted) !== undefined;
  throw new RlkitError("USAGE", `there is no group ${isGid ? `with gid ${wanted}` : wanted}, which dockerd wants`, {
    hint: `name another one as user:group, or make it: sudo groupadd ${isGid ? `--gid ${wanted} g${wanted}` : wanted}`,
  });
}

/** User and group of a value of userns-remap. Throws USAGE if one of them does not exist, or is root, who is never remapped. */
export function findRemapIdentity(spec: RemapSpec, io: AccountIo): RemapIdentity {
  const user = findRemapUser(spec, io);
  if (user.uid === 0) throw new RlkitError("USAGE", ROOT_STAYS, { hint: "name another user, or default" });
  return { user, group: findRemapGroup(spec, io) };
}

/** What dockerd says of userns-remap: root, and does. */
export const ROOT_STAYS = "root can't be remapped with itself: dockerd runs containers without a map then";
