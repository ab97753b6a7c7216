import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { errnoName } from "../native/errno.ts";
import { printOperation } from "../plan/print.ts";
import type { StepOf } from "../plan/steps.ts";
import type { Control } from "./control.ts";
import { explainUnshare } from "./explain-unshare.ts";

/**
 * Has init carry out consecutive steps of the plan in one request; throws for the first one that failed and may not. Returns the
 * last one's result.
 */
export async function runInside(control: Control, steps: readonly StepOf<"inside">[]): Promise<number> {
  const instructions = steps.map(({ op, onFailure, ifFailed }) => ({
    op,
    mayFail: onFailure !== "stop",
    ifFailed: ifFailed === true,
  }));
  const results = await control.run(instructions);
  for (const [i, result] of results.entries()) {
    const step = steps[i];
    if (step !== undefined && result < 0) failed(step, errnoName(-result));
  }
  return results.at(-1) ?? 0;
}

function failed(step: StepOf<"inside">, errno: string): void {
  const what = printOperation(step.op);
  if (step.onFailure === "ignore") return;
  if (step.onFailure === "warn") {
    log.warn(`could not ${what}: ${errno} (${step.why})`, { errno });
    return;
  }
  if (step.op[0] === "unshare") throw explainUnshare(errno);
  throw new RlkitError("STEP", `cannot ${what}: ${errno} (${step.why})`, { hint: hintFor(step, errno) });
}

function hintFor({ op }: StepOf<"inside">, errno: string): string | undefined {
  if (op[0] === "tap" && (errno === "EACCES" || errno === "EPERM")) return "as root: chmod 0666 /dev/net/tun";
  if (errno !== "EPERM" && errno !== "EACCES") return "see all steps with: rlkit plan -- COMMAND";
  return "the kernel or a security module (AppArmor, SELinux, a container's seccomp filter) forbids it to this user; see: dmesg";
}
