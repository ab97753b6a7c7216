import { RlkitError } from "../errors.ts";
import { sysctlFile } from "../host/sysctl.ts";
import { unshareCause } from "../launch/explain-unshare.ts";
import { idMaps } from "../plan/id-maps.ts";
import { fromError, parentFix } from "./causes.ts";
import type { Machine } from "./machine.ts";
import { asRoot, type Finding, failure, inWords, ok, type Requirement } from "./requirement.ts";

async function userNamespace({ sandbox, read, program, container }: Machine): Promise<Finding> {
  const tried = "made user, mount and network namespaces, and used the privileges in them";
  const refused = await sandbox.unshare();
  if (refused === undefined) return ok(tried, "users may make them");
  const { why, lines } = unshareCause(refused, (name) => read(sysctlFile(name))?.trim(), program);
  const found = `cannot make a user namespace: ${why}`;
  if (container !== undefined) return failure(tried, found, parentFix(container, "namespaces"));
  if (lines.length > 0) return failure(tried, found, asRoot(...lines));
  const note =
    "not possible in a chroot, or under a seccomp filter that forbids unshare(2): leave those; see also dmesg";
  return failure(tried, found, inWords("root", note));
}

/** Writes the maps that a run would write. */
async function idMap({ sandbox, ids, container }: Machine): Promise<Finding> {
  const tried = "had newuidmap and newgidmap write the maps of a run";
  try {
    const facts = ids();
    const step = idMaps({ uidMap: [], gidMap: [] }, facts);
    const refused = await sandbox.map(step);
    if (refused === undefined) return ok(tried, `root inside is ${facts.user.name} outside`);
    // The files say that the ids are the user's, and the programs look all right: something around us is in the way.
    const note = "rlkit idmap shows the maps that were to be written";
    return failure(tried, refused, inWords(container === undefined ? "root" : "outside", note));
  } catch (error) {
    if (error instanceof RlkitError) return fromError(tried, error);
    throw error;
  }
}

async function mounts({ sandbox, container }: Machine): Promise<Finding> {
  const tried = "mounted a tmpfs, and the proc of a new pid namespace";
  const { tmpfs, proc } = await sandbox.mounts();
  if (tmpfs === undefined && proc === undefined) return ok(tried, "containers get theirs");
  const found =
    tmpfs === undefined
      ? `cannot mount proc in a new pid namespace: ${proc}; parts of the own /proc are masked, and so no container would start`
      : `cannot mount a tmpfs: ${tmpfs}; a security module forbids mounts in user namespaces`;
  if (container !== undefined)
    return failure(tried, found, parentFix(container, tmpfs === undefined ? "proc" : "namespaces"));
  const note =
    tmpfs === undefined
      ? "unmount what covers parts of /proc (findmnt --submounts /proc shows it)"
      : "see what the security module says: dmesg, ausearch -m avc";
  return failure(tried, found, inWords("root", note));
}

/** What the kernel, and what is around this machine, let a user do. */
export const namespaces: readonly Requirement[] = [
  { id: "user-namespace", title: "user namespaces", needs: ["kernel"], probe: userNamespace },
  {
    id: "id-map",
    title: "maps of 65536 ids",
    needs: ["user", "no-new-privs", "newuidmap", "subids", "user-namespace"],
    probe: idMap,
  },
  { id: "mounts", title: "mounts in namespaces", needs: ["id-map"], probe: mounts },
];
