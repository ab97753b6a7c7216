import { join } from "node:path";
import type { CopyUpFacts } from "../host/facts.ts";
import { bind, inside, move } from "./inside.ts";
import type { StepOf } from "./steps.ts";

/**
 * Makes a directory writable inside: a tmpfs takes its place, with a link for each entry to the original, which moves to a
 * hidden directory in it. Scripts rely on entries being links (`rm -f /run/docker`). Some directories are bound instead: where
 * relative links leave one, `../../var/lib` would lead elsewhere from the hidden directory.
 */
export function copyUp({ path, bound }: CopyUpFacts, runId: string): StepOf<"inside">[] {
  const hidden = join(path, `.ro${runId}`);
  return [
    // /tmp exists everywhere and is free again two steps on; a directory made for this would have to be removed.
    inside(bind(path, "/tmp"), `copy-up of ${path}: keep the original, for the moment on /tmp`),
    inside(["mount", "none", path, "tmpfs", 0, ""], `a writable ${path}`),
    inside(["mkdir", hidden, 0o755], "where the original goes"),
    inside(move("/tmp", hidden), "and there it goes"),
    ...bound.flatMap((name) => [
      inside(
        ["mkdir", join(path, name), 0o755],
        `${name} holds relative links that leave it, or is not to be a link: it is bound`,
      ),
      inside(bind(join(hidden, name), join(path, name)), "the same directory"),
    ]),
    inside(["link_entries", hidden, path, `${hidden.slice(path.length + 1)}/`], "a link for every other entry"),
  ];
}
