import { freeRange } from "../idmap/ranges.ts";
import { parseSubidFile } from "../idmap/subid-file.ts";
import type { InstallFacts } from "./facts.ts";
import type { Step } from "./step.ts";

/** Sub-ids for a user who has none, as many as useradd(8) gives. */
export function subidSteps({ user, subids }: InstallFacts): Step[] {
  const entries = Object.fromEntries(
    (["uid", "gid"] as const).map((kind) => [kind, parseSubidFile(subids[kind] ?? "").entries]),
  );
  const isOwn = ({ owner }: { owner: string }): boolean => owner === user.name || owner === String(user.uid);
  const lacking = (["uid", "gid"] as const).filter((kind) => !entries[kind]?.some(isOwn));
  const range = freeRange(Object.values(entries).flat());
  if (lacking.length === 0 || range === undefined) return [];
  const words = (verb: string): string[] =>
    lacking.flatMap((kind) => [`--${verb}-sub${kind}s`, `${range.start}-${range.start + range.length - 1}`]);
  return [
    {
      do: "command",
      what: `subordinate ids of ${user.name}`,
      argv: ["usermod", ...words("add"), user.name],
      undo: ["usermod", ...words("del"), user.name],
      keptForData: true,
      why: "containers' users are among them",
    },
  ];
}
