import { constants } from "node:os";
import { SyscallError } from "../errors.ts";

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// EWOULDBLOCK and EOPNOTSUPP share their numbers with the names that people search for.
for (const name of ["EAGAIN", "ENOTSUP"] as const) names.set(constants.errno[name], name);
// Not among libuv's names.
for (const [number, name] of [
  [87, "EUSERS"],
  [52, "EBADE"],
  [5, "EIO"],
] as const)
  if (!names.has(number)) names.set(number, name);

/** The name of an errno number, `EPERM` for 1; `errno N` for one that Node doesn't know. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Passes a C result on, or throws its -errno as a SyscallError that names the call and its object. */
export function check(result: number, syscall: string, object = ""): number {
  if (result < 0) throw new SyscallError(syscall, errnoName(-result), object);
  return result;
}
