import { RlkitError } from "../errors.ts";
import { parseDistribution } from "../host/distribution.ts";
import type { IdMapFacts, ToolFacts } from "../idmap/check.ts";
import { parseIdMap } from "../idmap/map.ts";
import type { Captured } from "../native/capture.ts";
import type { NetworkFacts } from "../network/choose.ts";
import type { StorageTrial } from "../profiles/choose-storage.ts";
import type { FileTrial, Machine, Place, Refusal } from "./machine.ts";

/** A machine for unit tests, as data. What is not said is as it is on a good machine with systemd. */
export interface MadeUp {
  env?: Record<string, string>;
  name?: string | undefined;
  uid?: number;
  home?: string | undefined;
  /** Its os-release(5). */
  osRelease?: string;
  container?: string;
  kernel?: string;
  /** Texts by path, in place of the good machine's; undefined for none. */
  files?: Record<string, string | undefined>;
  /** What is at a path: owner, mode and group (the owner's unless told). */
  statuses?: Record<string, [uid: number, mode: number, gid?: number] | undefined>;
  writable?: string[];
  tryDirectory?: string;
  place?: Partial<Place>;
  missing?: string[];
  /** What programs answer, by their words. */
  answers?: Record<string, Captured>;
  ids?: Partial<IdMapFacts> | RlkitError;
  network?: Partial<NetworkFacts>;
  unshare?: Refusal;
  map?: Refusal;
  tmpfs?: Refusal;
  proc?: Refusal;
  helper?: Refusal;
  names?: { inside?: Refusal; outside?: Refusal };
  iptables?: Captured;
  nftables?: Refusal;
  fileTrial?: FileTrial;
  storage?: StorageTrial;
}

const tool = (name: string): ToolFacts => ({
  path: `/usr/bin/${name}`,
  owner: 0,
  setuid: true,
  capability: undefined,
  nosuidMount: undefined,
});

/** The ids of alice; `ranges` are what is delegated to her. */
export function someIds(ranges = [{ start: 100000, length: 65536 }]): IdMapFacts["ids"] {
  const of = (file: string) => ({
    delegated: { ranges, from: file },
    file: ranges.map(({ start, length }) => `alice:${start}:${length}\n`).join(""),
    outer: parseIdMap("0 0 4294967295"),
  });
  return { uid: of("/etc/subuid"), gid: of("/etc/subgid") };
}

const goodFiles: Record<string, string> = {
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
  "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "cpuset cpu io memory pids\n",
  "/proc/sys/net/ipv4/ip_unprivileged_port_start": "80\n",
  "/proc/sys/net/ipv4/ping_group_range": "0\t2147483647\n",
  "/proc/self/uid_map": "0 0 4294967295\n",
  "/proc/self/gid_map": "0 0 4294967295\n",
  "/proc/sys/user/max_user_namespaces": "28633\n",
};

const goodStatuses: NonNullable<MadeUp["statuses"]> = {
  "/home/alice": [1000, 0o755],
  "/run/user/1000": [1000, 0o700],
  "/run/systemd/system": [0, 0o755],
  "/run/user/1000/systemd/private": [1000, 0o600],
  "/run/user/1000/bus": [1000, 0o666],
  "/var/lib/systemd/linger/alice": [0, 0o644],
};

const DEBIAN = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n';

/** The machine that such data describe. */
export function madeUpMachine(given: MadeUp = {}): Machine {
  const { missing = [], answers = {} } = given;
  const files = { ...goodFiles, ...given.files };
  const statuses = { ...goodStatuses, ...given.statuses };
  const uid = given.uid ?? 1000;
  const user = { name: "name" in given ? given.name : "alice", uid, gid: uid };
  const find = (program: string): string | undefined =>
    missing.includes(program) ? undefined : program.startsWith("/") ? program : `/usr/bin/${program}`;
  const ids = {
    user,
    gid: user.gid,
    localUser: true,
    subidService: undefined,
    noNewPrivs: false,
    path: "/usr/bin",
    newuidmap: tool("newuidmap"),
    newgidmap: tool("newgidmap"),
    ids: someIds(),
  };
  return {
    env: given.env ?? { XDG_RUNTIME_DIR: "/run/user/1000" },
    user: { ...user, home: "home" in given ? given.home : "/home/alice" },
    distribution: parseDistribution(given.osRelease ?? DEBIAN, (program) => find(program) !== undefined),
    container: given.container,
    kernel: given.kernel ?? "6.12.0-amd64",
    program: "/opt/rlkit/libexec/rlkit-ns",
    read: (path) => files[path],
    status(path) {
      const found = statuses[path];
      return (
        found && {
          uid: found[0],
          gid: found[2] ?? found[0],
          mode: found[1],
          isDirectory: !/private|bus|linger/.test(path),
        }
      );
    },
    writable: (path) => path.startsWith("/run/user/1000") || (given.writable ?? []).includes(path),
    tryDirectory: () => given.tryDirectory,
    place: () => ({ type: "ext4", point: "/home", options: ["rw"], free: 2 ** 40, ...given.place }),
    find,
    run(argv) {
      if (find(argv[0] ?? "") === undefined) return { status: 127, output: "" };
      return answers[argv.slice(0, 2).join(" ")] ?? { status: 0, output: "version 1.8.11 (nf_tables)" };
    },
    ids() {
      if (given.ids instanceof RlkitError) throw given.ids;
      return { ...ids, ...given.ids };
    },
    network: () => ({
      pasta: { path: "/usr/bin/pasta", features: new Set(["--config-net", "--ns-ifname", "--dns-forward", "--pid"]) },
      slirp4netns: { path: "/usr/bin/slirp4netns", features: new Set(["--netns-type"]) },
      tunProblem: undefined,
      defaultRoute: true,
      ...given.network,
    }),
    sandbox: {
      unshare: async () => given.unshare,
      map: async () => given.map,
      mounts: async () => ({ tmpfs: given.tmpfs, proc: given.proc }),
      startNetwork: async () => (given.helper ? { name: "pasta", refused: given.helper } : { name: "pasta" }),
      resolve: async () => ({ inside: given.names?.inside, outside: given.names?.outside }),
      nftables: async () => given.nftables,
      execute: async () => given.iptables ?? { status: 0, output: "" },
      files: async () => given.fileTrial ?? {},
      storage: async () => given.storage ?? { driver: "overlay2", refused: [] },
    },
  };
}
