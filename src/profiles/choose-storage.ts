import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { makeDirectories } from "../host/directories.ts";
import type { Control } from "../launch/control.ts";
import { log } from "../log.ts";
import { errnoName } from "../native/errno.ts";
import { type Instruction, Open } from "../plan/operations.ts";
import type { StepOf } from "../plan/steps.ts";
import type { StorageDriver } from "./storage.ts";

const BTRFS_MAGIC = 0x9123683e; // statfs(2)

/**
 * Chooses dockerd's storage driver: the first candidate that works inside the namespaces on the data root itself. What doesn't
 * is told with its reason; vfs, which copies whole layers, only with a warning.
 */
export async function chooseStorage(control: Control, step: StepOf<"choose-storage">): Promise<StorageDriver> {
  const { dataRoot, candidates } = step;
  const dir = scratch(dataRoot);
  try {
    const { driver, refused } = await tryStorage(control, dir, candidates);
    if (driver !== undefined) return chosen(driver, refused, dataRoot);
    throw new RlkitError("STORAGE", `no storage driver of Docker's works on ${dataRoot}: ${refused.join("; ")}`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The first storage driver that works (undefined: none), and why those before it don't. */
export interface StorageTrial {
  driver: StorageDriver | undefined;
  /** `overlay2: EINVAL` */
  refused: readonly string[];
}

/** Tries storage drivers in their order in `dir`, a directory of its own on the file system that matters. */
export async function tryStorage(
  control: Control,
  dir: string,
  candidates: readonly StorageDriver[],
): Promise<StorageTrial> {
  const refused: string[] = [];
  for (const driver of candidates) {
    const problem = await tryDriver[driver](control, dir);
    if (problem === undefined) return { driver, refused };
    refused.push(`${driver}: ${problem}`);
  }
  return { driver: undefined, refused };
}

function scratch(dataRoot: string): string {
  try {
    makeDirectories(dataRoot, 0o710);
    return mkdtempSync(join(dataRoot, ".rlkit-"));
  } catch (cause) {
    throw new RlkitError("STORAGE", `cannot write to Docker's data root ${dataRoot}: ${(cause as Error).message}`, {
      hint: "make it writable for you, or give dockerd another one with --data-root",
      cause,
    });
  }
}

function chosen(driver: StorageDriver, refused: readonly string[], dataRoot: string): StorageDriver {
  const because = refused.length === 0 ? "" : ` (${refused.join("; ")})`;
  if (driver !== "vfs") log.info(`storage driver ${driver} on ${dataRoot}${because}`);
  else {
    log.warn(`storage driver vfs on ${dataRoot}: slow, and a full copy for each layer${because}`, {
      fix: "install fuse-overlayfs, or put the data root on ext4, xfs or btrfs",
    });
  }
  return driver;
}

/** Why a driver doesn't work there; undefined when it does. */
type Attempt = (control: Control, dir: string) => Promise<string | undefined>;

const tryDriver: Record<StorageDriver, Attempt> = {
  overlay2: tryOverlay,
  // Each container's layers are mounted by the fuse-overlayfs program, which needs the device.
  "fuse-overlayfs": async (control) => {
    const [result = -1] = await control.run([
      { op: ["write_file", "/dev/fuse", Open.writeOnly, 0, ""], mayFail: true },
    ]);
    return result < 0 ? `/dev/fuse can't be opened (${errnoName(-result)}); as root: chmod 0666 /dev/fuse` : undefined;
  },
  btrfs: async (_control, dir) => (statfsSync(dir).type === BTRFS_MAGIC ? undefined : "not a btrfs file system"),
  vfs: async () => undefined,
};

/** An overlay with two lower layers, as dockerd tests it, and a file removed in it: whiteouts are what some file systems lack. */
async function tryOverlay(control: Control, dir: string): Promise<string | undefined> {
  const at = (name: string): string => join(dir, name);
  const names = ["lower1", "lower2", "upper", "work", "merged"];
  const options = `lowerdir=${at("lower1")}:${at("lower2")},upperdir=${at("upper")},workdir=${at("work")}`;
  const prepare: Instruction[] = [
    ...names.map((name): Instruction => ({ op: ["mkdir", at(name), 0o700] })),
    { op: ["mknod", at("lower1/file"), 0o600] },
  ];
  const mount: Instruction[] = [
    { op: ["mount", "overlay", at("merged"), "overlay", 0, `${options},userxattr`], mayFail: true },
    // Kernels before 5.11 don't know userxattr; some distributions' allowed overlay to users before.
    { op: ["mount", "overlay", at("merged"), "overlay", 0, options], ifFailed: true },
  ];
  const attempt: Instruction[] = [
    ...mount,
    { op: ["unlink", at("merged/file")] },
    { op: ["mkdir", at("merged/file"), 0o700] },
  ];
  const results = await control.run([...prepare, ...attempt]);
  // Init removes what it made: the overlay's work directory belongs to nobody outside. The kernel leaves a whiteout in it for
  // later ones, and clears it when it mounts an overlay there.
  await control.run([
    { op: ["umount", at("merged"), 0], mayFail: true },
    ...mount.map((instruction): Instruction => ({ ...instruction, mayFail: true })),
    { op: ["umount", at("merged"), 0], mayFail: true },
    { op: ["rmdir", at("upper/file")], mayFail: true },
    { op: ["rmdir", at("work/work")], mayFail: true },
  ]);
  const failure = results.at(-1) ?? 0;
  if (results.length === prepare.length + attempt.length && failure >= 0) return undefined;
  return errnoName(-failure);
}
