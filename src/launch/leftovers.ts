import { closeSync, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { constants } from "node:os";
import { isErrno, RlkitError } from "../errors.ts";
import { pidfdOpen, pidfdSignal, pollReadable } from "../native/calls.ts";
import { nextTurn } from "./wait.ts";

const DEADLINE = 2000; // milliseconds

/** Holds on to the user namespace of a process: as long as it is open, its inode number is nobody else's. */
export function openUserNamespace(pid: number): number {
  return openSync(`/proc/${pid}/ns/user`, "r");
}

/**
 * Ends every process in a user namespace, for when its init has been killed and can't do so. Each is ended through a pidfd that
 * was opened before the last look at where it is; repeated until none is left, as they may fork meanwhile.
 */
export async function endAllIn(userNamespace: number): Promise<void> {
  const { ino } = fstatSync(userNamespace);
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    const found = processes().filter((pid) => isIn(pid, ino) && end(pid, ino));
    if (found.length === 0) return;
    if (Date.now() > deadline) {
      throw new RlkitError("INIT_LOST", `processes are left in the instance's user namespace: ${found.join(", ")}`, {
        hint: `end them: kill -9 ${found.join(" ")}`,
      });
    }
    await nextTurn();
  }
}

const processes = (): number[] => readdirSync("/proc").map(Number).filter(Number.isInteger);

function isIn(pid: number, namespace: number): boolean {
  try {
    return statSync(`/proc/${pid}/ns/user`).ino === namespace;
  } catch {
    return false; // it has ended, or is somebody else's
  }
}

/** Ends a process; false if it has ended already. A zombie keeps its user namespace, and some machines' PID 1 never reaps. */
function end(pid: number, namespace: number): boolean {
  try {
    const pidfd = pidfdOpen(pid);
    const isLeft = pollReadable([pidfd], 0).length === 0 && isIn(pid, namespace);
    if (isLeft) pidfdSignal(pidfd, constants.signals.SIGKILL);
    closeSync(pidfd);
    return isLeft;
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
    return false;
  }
}
