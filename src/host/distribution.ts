/** The programs that install packages, each with the words that do so without a question. */
const installers = {
  "apt-get": "apt-get install -y",
  dnf: "dnf install -y",
  yum: "yum install -y",
  zypper: "zypper --non-interactive install",
  pacman: "pacman -S --noconfirm --needed",
  apk: "apk add",
} as const;

export type PackageManager = keyof typeof installers;

/** Which distribution this is, as far as commands depend on it. */
export interface Distribution {
  /** os-release(5)'s ID: `debian`, `ubuntu`, `fedora`; "linux" where it does not say. */
  id: string;
  /** What people call it. */
  name: string;
  version: string;
  /** Undefined for one that is none of those known here. */
  manager: PackageManager | undefined;
}

/** By ID and ID_LIKE. What comes after RHEL 7 has dnf; its yum is the same. */
const managers: Readonly<Record<string, PackageManager>> = {
  debian: "apt-get",
  ubuntu: "apt-get",
  fedora: "dnf",
  rhel: "dnf",
  centos: "dnf",
  amzn: "dnf",
  suse: "zypper",
  opensuse: "zypper",
  arch: "pacman",
  alpine: "apk",
};

/** Reads os-release(5). `has` tells whether there is a program of that name. */
export function parseDistribution(osRelease: string, has: (program: string) => boolean): Distribution {
  const field = (name: string): string =>
    new RegExp(`^${name}=(["']?)(.*)\\1$`, "m").exec(osRelease)?.[2]?.trim() ?? "";
  const id = field("ID") || "linux";
  const [known] = [id, ...field("ID_LIKE").split(" ")].flatMap((each) => managers[each] ?? []);
  const byProgram = (Object.keys(installers) as PackageManager[]).find(has);
  const manager = known === "dnf" && !has("dnf") && has("yum") ? "yum" : (known ?? byProgram);
  return { id, name: field("PRETTY_NAME") || id, version: field("VERSION_ID"), manager };
}

type Names = Readonly<Record<PackageManager, readonly string[]>>;
const everywhere = (...names: string[]): Names => ({
  ...{ "apt-get": names, dnf: names, yum: names, zypper: names, pacman: names, apk: names },
});

/** What the packages are called; of several, the first that the distribution has. */
const packages = {
  newuidmap: {
    ...{ "apt-get": ["uidmap"], dnf: ["shadow-utils"], yum: ["shadow-utils"] },
    ...{ zypper: ["shadow"], pacman: ["shadow"], apk: ["shadow-uidmap"] },
  },
  iptables: everywhere("iptables"),
  network: { ...everywhere("passt", "slirp4netns"), yum: ["slirp4netns"] },
  slirp4netns: everywhere("slirp4netns"),
  "fuse-overlayfs": everywhere("fuse-overlayfs"),
  dockerd: { ...everywhere("docker"), "apt-get": ["docker.io"], dnf: ["moby-engine"], yum: ["docker"] },
  semanage: { ...everywhere("policycoreutils-python-utils"), yum: ["policycoreutils-python"] },
} satisfies Readonly<Record<string, Names>>;

/** Something that is missing, by the program or the purpose that it is for. */
export type Missing = keyof typeof packages;

/** The command, for root, that installs it. */
export function installCommand(manager: PackageManager, missing: Missing): string {
  const names: readonly string[] = packages[missing][manager];
  return names.map((name) => `${installers[manager]} ${name}`).join(" || ");
}

/** Only in Docker's own package repository. */
export const hasDockerPackage = ({ id, manager }: Distribution): boolean =>
  manager !== "yum" && (manager !== "dnf" || id === "fedora");
