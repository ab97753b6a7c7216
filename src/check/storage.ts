import { storageDrivers } from "../profiles/storage.ts";
import { install } from "./causes.ts";
import { dockerSettings } from "./docker.ts";
import { isOlder } from "./identity.ts";
import type { FileTrial, Machine, Place } from "./machine.ts";
import { asRoot, type Finding, type Fix, failure, inWords, ok, type Requirement, warning } from "./requirement.ts";

/** File systems of other machines, and those without owners: an id of a range means nothing to them. */
const unsuitable = /^(nfs|cifs|smb|afs|ceph|9p|fuse\.(sshfs|glusterfs)|vfat|exfat|ntfs|fuseblk|ecryptfs)/;

const elsewhere = (config: string): string =>
  `give dockerd a data root on a local file system: {"data-root": "/DIRECTORY/OF/YOURS"} in ${config}`;

async function dataRoot(machine: Machine): Promise<Finding> {
  const { dataRoot: directory, configFile } = dockerSettings(machine);
  const tried = `in or above ${directory}: wrote a file, gave it to a delegated id, ran it as a program`;
  const place = machine.place(directory);
  const { write, chown, execute } = await machine.sandbox.files(directory);
  const where = `${place.point} (${place.type})`;
  if (write !== undefined) {
    const found = `cannot write to Docker's data root: ${write.errno} in ${write.directory}`;
    return failure(tried, found, writeFix(machine, write, place));
  }
  if (chown !== undefined) {
    const what = unsuitable.test(place.type) ? `${where}, where delegated ids mean nothing,` : where;
    const found = `files on ${what} can't be given to delegated ids (${chown}): no image would unpack`;
    return failure(tried, found, inWords("user", elsewhere(configFile)));
  }
  if (execute !== undefined) {
    const found = `${where} is mounted noexec: programs in volumes, and with vfs all programs, can't be run`;
    return warning(tried, found, asRoot(`mount -o remount,exec ${place.point}`));
  }
  return suitable(tried, place, where, configFile);
}

type Write = NonNullable<FileTrial["write"]>;

function writeFix({ user: { uid }, container }: Machine, { errno, directory }: Write, { point }: Place): Fix {
  if (errno === "ENOSPC" || errno === "EDQUOT")
    return inWords("root", `make room on ${point}, or raise the user's quota`);
  if (errno !== "EROFS") return asRoot(`chown ${uid} ${directory} && chmod u+rwx ${directory}`);
  return container === undefined
    ? asRoot(`mount -o remount,rw ${point}`)
    : inWords("outside", `mount a writable volume at ${directory}`);
}

const GIB = 1024 ** 3;

/** What works, but not for long. */
function suitable(tried: string, { type, free }: Place, where: string, config: string): Finding {
  if (type === "tmpfs" || type === "ramfs") {
    const found = `${where} is in memory: images and volumes are gone after the next start of this machine`;
    return warning(tried, found, inWords("user", elsewhere(config)));
  }
  if (free < GIB) {
    const found = `${where} has ${Math.floor(free / 1024 ** 2)} MiB free: a few images fill that`;
    return warning(tried, found, inWords("user", elsewhere(config)));
  }
  return ok(tried, `${where}, ${Math.floor(free / GIB)} GiB free`);
}

/** The first kernel in which users may mount an overlay. */
const OVERLAY_KERNEL = [5, 11] as const;

async function storageDriver(machine: Machine): Promise<Finding> {
  const { dataRoot: directory, storageDriver: chosen } = dockerSettings(machine);
  const tried =
    "mounted an overlay, removed a file in it, then tried the other drivers, on the data root's file system";
  if (chosen) return ok(tried, "daemon.json names the driver");
  const hasFuse = machine.find("fuse-overlayfs") !== undefined;
  const candidates = storageDrivers.filter((driver) => driver !== "fuse-overlayfs" || hasFuse);
  const { driver, refused } = await machine.sandbox.storage(directory, candidates);
  const because = refused.length === 0 ? "" : `; ${refused.join("; ")}`;
  if (driver === "overlay2") return ok(tried, "overlay2, by the kernel");
  if (driver === "fuse-overlayfs") return ok(tried, `fuse-overlayfs${because}`);
  if (driver === "btrfs") return ok(tried, `btrfs${because}`, ...btrfsOptions(machine, directory));
  const found = `nothing but vfs works here, which copies every layer as a whole${because}${age(machine)}`;
  return warning(tried, found, ...betterStorage(machine, hasFuse, refused));
}

/** Docker's driver removes subvolumes, which users may only with this option. */
function btrfsOptions({ place }: Machine, directory: string): Fix[] {
  const { options, point } = place(directory);
  if (options.includes("user_subvol_rm_allowed")) return [];
  const mend = { ...asRoot(`mount -o remount,user_subvol_rm_allowed ${point}`), optional: true as const };
  return [{ ...mend, note: "so that dockerd can remove the subvolumes of removed images (add it to /etc/fstab, too)" }];
}

function age({ kernel }: Machine): string {
  return isOlder(kernel, OVERLAY_KERNEL) ? `; overlay2 needs Linux ${OVERLAY_KERNEL.join(".")}, this is ${kernel}` : "";
}

function betterStorage(machine: Machine, hasFuse: boolean, refused: readonly string[]): Fix[] {
  if (!hasFuse) return [install(machine, "fuse-overlayfs", "fuse-overlayfs")];
  if (!refused.some((each) => each.includes("/dev/fuse"))) {
    return [inWords("user", elsewhere(dockerSettings(machine).configFile))];
  }
  if (machine.container !== undefined) return [inWords("outside", "start this container with --device /dev/fuse")];
  const device = refused.some((each) => each.includes("EACCES"))
    ? []
    : ["modprobe fuse || true", "[ -e /dev/fuse ] || mknod /dev/fuse c 10 229"];
  return [asRoot(...device, "chmod 0666 /dev/fuse")];
}

/** Where images and containers are kept. */
export const storage: readonly Requirement[] = [
  { id: "data-root", title: "Docker's data root", needs: ["daemon-json", "mounts"], probe: dataRoot },
  { id: "storage-driver", title: "storage driver", needs: ["data-root"], probe: storageDriver },
];
