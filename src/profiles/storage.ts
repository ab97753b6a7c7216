/** Docker's storage drivers that rlkit can choose, the best first. */
export const storageDrivers = ["overlay2", "fuse-overlayfs", "btrfs", "vfs"] as const;
export type StorageDriver = (typeof storageDrivers)[number];
