import { closeSync } from "node:fs";
import { socketpair } from "../native/calls.ts";
import { rlkitNs } from "../native/paths.ts";
import { Child } from "./children.ts";
import { Control } from "./control.ts";

/** Starts `rlkit-ns init`, which has not left the host's namespaces yet, with what is asked of it. Throws a SyscallError. */
export function startInit(env: readonly string[], interrupted: () => void): { init: Child; control: Control } {
  const [ours, theirs] = socketpair();
  const init = Child.start({
    path: rlkitNs(),
    argv: ["rlkit-ns", "init", "3"],
    env,
    fds: [0, 1, 2, theirs],
    // None: a closed control socket tells init the same, and it then ends what runs inside before itself.
    deathSignal: 0,
  });
  closeSync(theirs);
  return { init, control: new Control(ours, interrupted) };
}
