import type { Cell } from "./cells.ts";
import { packImage } from "./checks.ts";
import { leftSince, traces } from "./daemon.ts";
import { type Host, RLKIT } from "./host.ts";

export const NO_PODMAN = "not here: no podman";

export interface Podman {
  readonly suite: Cell["suite"];
  /** "ok", NO_PODMAN, or what failed. */
  readonly result: string;
}

/** A container of podman's, run as the root that rlkit makes of the user. */
export async function tryPodman(host: Host): Promise<string> {
  if ((await host.sh("command -v podman || :")) === "") return NO_PODMAN;
  await packImage(host);
  const podman = "podman --root ~/podman --runroot /run/podman --storage-driver vfs --cgroup-manager cgroupfs";
  const image = "localhost/cell:latest";
  // In the network that rlkit made: for one of its own podman would write into /var/lib.
  const run = `run --rm --cgroups=disabled --network=host ${image}`;
  const script = `${podman} import -q ~/image.tar ${image}; ${podman} ${run} sh -c "id -u; ip addr show tap0"`;
  const rlkit = `${RLKIT}/bin/rlkit run --net=slirp4netns --copy-up=/etc --copy-up=/run -- sh -ec`;
  const before = await traces(host);
  const output = await host.sh(`${rlkit} '${script}'`);
  if (!/^0\n\d+: tap0:/m.test(output)) return `podman run: ${output.trim()}`;
  return (await leftSince(host, before)).map((line) => `left: ${line}`).join("; ") || "ok";
}
