import { Mount, type Operation } from "./operations.ts";
import type { OnFailure, StepOf } from "./steps.ts";

/** A step that init carries out inside the namespaces; it stops the run when it fails unless said otherwise. */
export function inside(
  op: Operation,
  why: string,
  options: { onFailure?: OnFailure; ifFailed?: boolean } = {},
): StepOf<"inside"> {
  const { onFailure = "stop", ifFailed } = options;
  return { do: "inside", op, why, onFailure, ...(ifFailed && { ifFailed }) };
}

/** A recursive bind mount. Never without the submounts: those of the host are locked together, and the kernel refuses. */
export function bind(from: string, to: string): Operation {
  return ["mount", from, to, "", Mount.bind | Mount.recursive, ""];
}

/** Moves a mount from one place to another. */
export function move(from: string, to: string): Operation {
  return ["mount", from, to, "", Mount.move, ""];
}
