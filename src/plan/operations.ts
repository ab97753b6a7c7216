/**
 * The operations that `rlkit-ns init` carries out inside the namespaces: one system call each, or one small idiom. This table
 * and native/protocol.h's are one (test/protocol.test.ts holds both against the same byte vectors): the opcode is the
 * position, counted from 1; fields are i = 32-bit integer, l = 64-bit flags, s = string, b = bytes.
 */
const operationTable = {
  unshare: "i",
  fork_pid1: "",
  set_ids: "ii",
  mount: "sssls",
  umount: "si",
  mkdir: "si",
  rmdir: "s",
  unlink: "s",
  symlink: "ss",
  write_file: "siis",
  link_entries: "sss",
  link_up: "s",
  link_mtu: "si",
  tap: "s",
  addr_add: "ssi",
  route_default: "ss",
  mknod: "si",
  netlink: "ib",
  detach_netns: "s",
} as const;

export type OperationName = keyof typeof operationTable;

type Fields<S extends string> = S extends `${infer First}${infer Rest}`
  ? [First extends "s" ? string : First extends "b" ? Buffer : number, ...Fields<Rest>]
  : [];

/** One operation: its name, then its fields as the table says. */
export type Operation = { [N in OperationName]: readonly [N, ...Fields<(typeof operationTable)[N]>] }[OperationName];

/** The operations' names in the order of their opcodes. */
export const operationNames = Object.keys(operationTable) as OperationName[];

/** The field types of an operation. */
export const fieldTypes = (name: OperationName): string => operationTable[name];

/** An operation and what its failure means to the ones after it. */
export interface Instruction {
  op: Operation;
  /** Go on when it fails. */
  mayFail?: boolean;
  /** Carry it out only if the one before it failed. */
  ifFailed?: boolean;
}

/** clone(2)'s flags for the namespaces. */
export const Clone = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
} as const;

/** mount(2)'s flags. */
export const Mount = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  bind: 4096,
  move: 8192,
  recursive: 16384,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
} as const;

/** open(2)'s flags, as every Linux numbers them. */
export const Open = { writeOnly: 1 } as const;
