import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  statfsSync,
  statSync,
} from "node:fs";
import { release } from "node:os";
import { parseDistribution } from "../host/distribution.ts";
import { currentUser, gatherIdMapFacts, hostIo } from "../host/idmap-facts.ts";
import { startNetworkFacts } from "../host/network-facts.ts";
import { findProgram } from "../host/programs.ts";
import type { IdMapFacts } from "../idmap/check.ts";
import { capture } from "../native/capture.ts";
import { rlkitNs } from "../native/paths.ts";
import type { NetworkFacts } from "../network/choose.ts";
import { type Environment, environmentList } from "../options/run-options.ts";
import { containerKind } from "./container.ts";
import type { Machine, Place } from "./machine.ts";
import { Namespaces, nearest } from "./sandbox.ts";

/**
 * This machine, for the user who runs this process. `close` ends and removes what was made on it. `interrupted` is asked in waits, and
 * may throw.
 */
export function thisMachine(given: Environment, interrupted: () => void): Machine & { close(): Promise<void> } {
  const searched = `${given.PATH ?? "/usr/local/bin:/usr/bin:/bin"}:/usr/sbin:/sbin`;
  const env = { ...given, PATH: searched };
  const find = (program: string): string | undefined => findProgram(program, searched);
  const user = currentUser();
  const home = given.HOME || user.home;
  const sandbox = new Namespaces(env, interrupted);
  return {
    env: given,
    user: { ...user, home },
    distribution: parseDistribution(
      read("/etc/os-release") ?? read("/usr/lib/os-release") ?? "",
      (name) => find(name) !== undefined,
    ),
    container: containerKind({ env: given, read }),
    kernel: release(),
    program: rlkitNs(),
    sandbox,
    close: () => sandbox.close(),
    read,
    status(path) {
      try {
        const { uid, gid, mode } = statSync(path);
        return { uid, gid, mode: mode & 0o7777, isDirectory: (mode & constants.S_IFMT) === constants.S_IFDIR };
      } catch {
        return undefined; // not there, or behind a directory that this user can't enter: the same for a user
      }
    },
    writable(path) {
      try {
        accessSync(path, constants.W_OK);
        return true;
      } catch {
        return false;
      }
    },
    tryDirectory(path) {
      try {
        mkdirSync(path);
        rmdirSync(path);
        return undefined;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? String(error);
      }
    },
    place,
    find,
    run([program = "", ...args], more = {}) {
      const file = find(program);
      if (file === undefined) return { status: 127, output: `${program}: not found` };
      return capture(file, args, environmentList({ ...env, ...more }));
    },
    ids: once(() => gatherIdMapFacts("auto", hostIo(given), user)),
    network: once(() => networkFacts(searched)),
  };
}

function read(path: string): string | undefined {
  try {
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  } catch {
    return undefined;
  }
}

const once = <T extends IdMapFacts | NetworkFacts>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
};

const networkFacts = (path: string): NetworkFacts => startNetworkFacts({ name: "auto" }, path)();

/** The mount that a path is under, from the lines of proc_pid_mountinfo(5). */
function place(path: string): Place {
  const real = realpathSync(nearest(path));
  const { bavail, bsize } = statfsSync(real);
  const mounts = (read("/proc/self/mountinfo") ?? "").split("\n").map((line) => line.split(" "));
  const under = mounts.filter(([, , , , point = " "]) => point === "/" || `${real}/`.startsWith(`${point}/`));
  // The longest; of several at one place the last, which hides the others.
  const [fields = []] = under.reverse().sort((a, b) => (b[4] ?? "").length - (a[4] ?? "").length);
  const [type = "", , superOptions = ""] = fields.slice(fields.indexOf("-") + 1);
  const options = [fields[5] ?? "", superOptions].flatMap((each) => each.split(","));
  return { type, point: fields[4] ?? "/", options, free: bavail * bsize };
}
