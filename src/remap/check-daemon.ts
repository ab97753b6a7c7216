import { dirname, join } from "node:path";
import type { Machine } from "../check/machine.ts";
import { rootLines } from "../check/print.ts";
import { asRoot, type Checked, type Finding, failure, inWords, ok, skipped, warning } from "../check/requirement.ts";
import type { User } from "../idmap/user.ts";
import { shellWord } from "../idmap/verdict.ts";
import { remapMaps } from "./maps.ts";
import { accountsOf } from "./target.ts";

type Named = User & { name: string };

/** The ids outside of root in containers. */
interface RootIds {
  uid: number;
  gid: number;
}

function rootIds(user: Named, machine: Machine): RootIds {
  const { uid, gid } = remapMaps(user, accountsOf(machine)).maps;
  return { uid: uid[0]?.outside ?? 0, gid: gid[0]?.outside ?? 0 };
}

/** Where dockerd keeps images, containers and volumes of that map. */
export function remapRoot(dataRoot: string, user: Named, machine: Machine): string {
  const { uid, gid } = rootIds(user, machine);
  return join(dataRoot, `${uid}.${gid}`);
}

/** Whether containers may make user namespaces at all. */
export function checkNamespaces({ read, status }: Machine): Finding {
  const tried = "read /proc/sys/user/max_user_namespaces, looked for /proc/self/ns/user";
  if (read("/proc/sys/user/max_user_namespaces")?.trim() === "0") {
    const lines = ["echo user.max_user_namespaces=28633 > /etc/sysctl.d/60-userns-remap.conf", "sysctl --system"];
    return failure(tried, "user.max_user_namespaces is 0: no container starts", asRoot(...lines));
  }
  if (status("/proc/self/ns/user") !== undefined) return ok(tried, "the kernel has them");
  const note = "start a kernel with CONFIG_USER_NS";
  return failure(tried, "this kernel has no user namespaces: dockerd does not start", inWords("root", note));
}

/** What a data root has that images or containers are in. */
const DATA = ["image", "containers", "overlay2", "vfs", "btrfs", "zfs", "fuse-overlayfs"];

/** The directory of that map: reachable, and whether images of before are left behind. */
export function checkDataRoot(dataRoot: string, user: Named, machine: Machine): Finding {
  const directory = remapRoot(dataRoot, user, machine);
  const root = rootIds(user, machine);
  const tried = `looked at ${directory} and the directories above it`;
  const closed = ancestors(dataRoot).find((path) => !lets(root, path, machine));
  if (closed !== undefined) {
    const found = `${closed} does not let uid ${root.uid} through to ${directory}: dockerd does not start`;
    return failure(tried, found, asRoot(`chmod o+x ${shellWord(closed)}`));
  }
  const owner = `root and gid ${root.gid}, mode 0710`;
  if (machine.status(directory) !== undefined) return ok(tried, `dockerd uses ${directory}, of ${owner}`);
  if (DATA.some((name) => machine.status(join(dataRoot, name)) !== undefined)) {
    const found = `dockerd will make ${directory}, for ${owner}: what is in ${dataRoot} now (images, containers, volumes) is not seen with the map, and again without it`;
    const note = "docker save what you want to keep before the restart, and docker load it after";
    return warning(tried, found, inWords("root", note));
  }
  return ok(tried, `dockerd will make ${directory}, for ${owner}`);
}

/** The directories above one, the highest last. dockerd itself opens the data root. */
function ancestors(path: string): string[] {
  const above = dirname(path);
  return above === "/" || above === path ? [] : [above, ...ancestors(above)];
}

/** As dockerd asks; one that is not there yet is made so that it does. */
function lets(root: RootIds, path: string, { status }: Machine): boolean {
  const found = status(path);
  if (found === undefined) return true;
  const { uid, gid, mode } = found;
  return (
    (mode & 0o001) !== 0 || (uid === root.uid && (mode & 0o100) !== 0) || (gid === root.gid && (mode & 0o010) !== 0)
  );
}

const PID_FILE = "/var/run/docker.pid";
const SOCKET = "unix:///var/run/docker.sock";

/** Whether the dockerd that runs has to be started anew, after what the results say is to be changed. */
export function checkRunning(results: readonly Checked[], directory: string | undefined, machine: Machine): Finding {
  const { read, run, status } = machine;
  const pid = read(PID_FILE)?.trim();
  if (!pid || status(`/proc/${pid}`) === undefined) {
    return skipped(`looked for a process by ${PID_FILE}`, "no dockerd runs; it reads all of this when it starts");
  }
  if (rootLines(results).length > 0) {
    const found = `dockerd (${pid}) runs, and reads all of this only when it starts`;
    return warning(`looked for a process by ${PID_FILE}`, found, restart(machine));
  }
  const tried = `docker --host ${SOCKET} info`;
  const { status: failed, output } = run(["docker", "--host", SOCKET, "info", "--format", "{{.DockerRootDir}}"]);
  if (failed !== 0) return skipped(tried, "dockerd does not answer this user: ask as root");
  if (directory === undefined || output.trim() === directory) return ok(tried, `it uses ${output.trim()}`);
  return warning(tried, `dockerd (${pid}) was started with another map: it uses ${output.trim()}`, restart(machine));
}

function restart({ status }: Machine) {
  if (status("/run/systemd/system") !== undefined) return asRoot("systemctl restart docker");
  if (status("/etc/init.d/docker") !== undefined) return asRoot("service docker restart");
  return inWords("root", "start dockerd anew");
}
