/** What tells of a container. */
export interface Signs {
  env: Readonly<Record<string, string>>;
  /** The text of a file; undefined if there is none. */
  read(path: string): string | undefined;
}

/** /.dockerenv is left in images of virtual machines that were made from a container's: it counts where / is not a whole disk. */
function isPartOfADisk(mountinfo: string): boolean {
  const [, , , root, , , ...rest] =
    mountinfo
      .split("\n")
      .find((line) => line.split(" ")[4] === "/")
      ?.split(" ") ?? [];
  return root !== "/" || ["overlay", "fuse.fuse-overlayfs"].includes(rest[rest.indexOf("-") + 1] ?? "");
}

/** Which container this machine is: `docker`, `podman`, `kubernetes`, `lxc` or another word; undefined if it is none. */
export function containerKind({ env, read }: Signs): string | undefined {
  if (env.KUBERNETES_SERVICE_HOST) return "kubernetes";
  if (read("/run/.containerenv") !== undefined) return "podman";
  if (env.container) return env.container;
  const named = read("/run/systemd/container")?.trim();
  if (named) return named;
  return read("/.dockerenv") !== undefined && isPartOfADisk(read("/proc/self/mountinfo") ?? "") ? "docker" : undefined;
}
