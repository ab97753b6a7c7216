import type { Distribution } from "../host/distribution.ts";
import type { IdMapFacts } from "../idmap/check.ts";
import type { User } from "../idmap/user.ts";
import type { Captured } from "../native/capture.ts";
import type { NetworkFacts } from "../network/choose.ts";
import type { Environment } from "../options/run-options.ts";
import type { StepOf } from "../plan/steps.ts";
import type { StorageTrial } from "../profiles/choose-storage.ts";
import type { StorageDriver } from "../profiles/storage.ts";

/** Where a file or directory lies. */
export interface Place {
  /** What mountinfo(5) calls the file system: `ext4`, `nfs4`, `fuse.sshfs`. */
  type: string;
  /** The mount point. */
  point: string;
  /** Options of the mount, `noexec` among them. */
  options: readonly string[];
  /** Bytes that the user can still write. */
  free: number;
}

/** What stat(2) says, as far as it matters. */
interface Status {
  uid: number;
  gid: number;
  /** Permission bits. */
  mode: number;
  isDirectory: boolean;
}

/** The machine that is checked. Nothing that a requirement asks goes past it, so that tests can ask about another one. */
export interface Machine {
  readonly env: Environment;
  readonly user: User & { home: string | undefined };
  readonly distribution: Distribution;
  /** What kind of container this machine is (`docker`, `kubernetes`); undefined if it is none. */
  readonly container: string | undefined;
  /** The kernel's release. */
  readonly kernel: string;
  /** The program that makes namespaces, by its path. */
  readonly program: string;
  readonly sandbox: Sandbox;
  /** The text of a file; undefined if there is none, or none that can be read. */
  read(path: string): string | undefined;
  /** Follows links; undefined if nothing is there. */
  status(path: string): Status | undefined;
  /** Whether access(2) lets the user write there. */
  writable(path: string): boolean;
  /** Makes a directory and removes it; the errno that kept it from that. */
  tryDirectory(path: string): string | undefined;
  /** Of the nearest directory above that is there. */
  place(path: string): Place;
  /** A program on PATH or in the directories of sbin. */
  find(program: string): string | undefined;
  /** Runs a program to its end; status 127 if there is none of that name. */
  run(argv: readonly string[], env?: Environment): Captured;
  /** Throws an RlkitError if what delegates ids can't be read. */
  ids(): IdMapFacts;
  network(): NetworkFacts;
}

/** What was refused, by its errno or in the words of the program that did it. */
export type Refusal = string;

/** Throw-away namespaces, all of them gone when the check ends. What needs `unshare` and `map` comes after those. */
export interface Sandbox {
  /** Makes user, mount and network namespaces, and uses the privileges that come with them. */
  unshare(): Promise<Refusal | undefined>;
  /** Has newuidmap and newgidmap write the maps. */
  map(step: StepOf<"write-id-maps">): Promise<Refusal | undefined>;
  /** Mounts of the kinds that a container needs, by what was mounted; each with its errno. */
  mounts(): Promise<Readonly<Record<"tmpfs" | "proc", Refusal | undefined>>>;
  /** Starts a network helper and waits until it is ready. */
  startNetwork(facts: NetworkFacts): Promise<{ name: string } | { refused: Refusal; name: string }>;
  /** Asks the name server of that network, and that of this machine. Undefined where a name was found. */
  resolve(name: string): Promise<Readonly<Record<"inside" | "outside", Refusal | undefined>>>;
  /** Makes an nftables table by netlink. */
  nftables(): Promise<Refusal | undefined>;
  /** Runs a program with a writable /run, as dockerd's are run. */
  execute(argv: readonly string[]): Promise<Captured>;
  /** What can be done with files on a data root's file system. */
  files(directory: string): Promise<FileTrial>;
  storage(directory: string, candidates: readonly StorageDriver[]): Promise<StorageTrial>;
}

/** Undefined for what works. */
export interface FileTrial {
  write?: { errno: Refusal; directory: string };
  /** Giving a file to one of the delegated ids. */
  chown?: Refusal;
  /** Running a program. */
  execute?: Refusal;
}
