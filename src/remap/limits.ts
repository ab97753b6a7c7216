import { wrap } from "../wrap.ts";

/** Something that containers can't do under a dockerd with userns-remap. */
interface Limit {
  what: string;
  why: string;
  instead: string;
}

/** By https://docs.docker.com/engine/security/userns-remap/ and what dockerd refuses by name. */
export const limits: readonly Limit[] = [
  {
    what: "docker run --privileged",
    why: "dockerd refuses it with a map",
    instead:
      "--privileged --userns=host: that container has no map, and files of its image belong to the remapped root (sudo in it fails)",
  },
  { what: "docker run --pid=host", why: "dockerd refuses it with a map", instead: "--pid=host --userns=host" },
  {
    what: "docker run --network=host",
    why: "dockerd refuses it with a map",
    instead: "published ports, or --network=host --userns=host",
  },
  {
    what: "volumes and bind mounts with files of other ids",
    why: "files of users of this machine belong to nobody (65534) inside, and cannot be given to anybody",
    instead: "give them to the mapped ids: chown to the first outside id of rlkit remap show, plus the id inside",
  },
  {
    what: "external volume, network and storage drivers",
    why: "plug-ins that know nothing of the map write files as other ids",
    instead: "drivers that say that they go with userns-remap, or those of dockerd itself",
  },
  {
    what: "mknod in a container",
    why: "the kernel lets nobody make devices in a user namespace, root neither",
    instead: "docker run --device",
  },
  {
    what: "the containerd image store",
    why: "dockerd 29 and later switches it off with a map",
    instead: "dockerd's own store, which it then takes by itself",
  },
];

const WIDTH = 80;

/** The limits for people, as a section of a check. */
export function limitsText(): string {
  const lines = limits.flatMap(({ what, why, instead }) => [
    `  ${what}`,
    ...wrap(`${why}. Instead: ${instead}.`, WIDTH - 4).map((line) => `    ${line}`),
  ]);
  return ["What does not work in containers with it:", ...lines].join("\n");
}
