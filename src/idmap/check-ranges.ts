import { extents, fitsKernel, type IdMap, insideOuterMap, planIdMap } from "./map.ts";
import { formatRange, freeRange, ID_LIMIT, type IdRange, subtract, total } from "./ranges.ts";
import { type Delegated, type IdKind, subidFile } from "./source.ts";
import { parseSubidFile } from "./subid-file.ts";
import { describeUser, type User } from "./user.ts";
import type { Verdict } from "./verdict.ts";

/** What is known about one kind of ids. */
export interface IdFacts {
  delegated: Delegated;
  /** The text of /etc/subuid or /etc/subgid, with everybody's ranges; undefined if there is no such file. */
  file: string | undefined;
  /** /proc/self/uid_map or gid_map: which ids exist in the user namespace that rlkit runs in. */
  outer: IdMap;
}

/** What decides whether a user has enough ids. */
export interface RangeFacts {
  user: User;
  /** Whether the user has a line in /etc/passwd: usermod(8) knows no others. */
  localUser: boolean;
  /** The service that nsswitch.conf names for sub-ids, if it is not the files. */
  subidService: string | undefined;
  ids: Record<IdKind, IdFacts>;
}

const kinds: readonly IdKind[] = ["uid", "gid"];

/** What images expect: Debian's nobody is 65534. useradd(8) delegates as many. */
const ENOUGH = 65536;

/** Whether ranges are delegated, whether they can be used here, and whether they are enough; one verdict for each cause. */
export function checkRanges(facts: RangeFacts): Verdict[] {
  const who = describeUser(facts.user);
  const delegated = (kind: IdKind): number => total(facts.ids[kind].delegated.ranges);
  const none = kinds.filter((kind) => delegated(kind) === 0);
  const few = kinds.filter((kind) => delegated(kind) > 0 && delegated(kind) < ENOUGH);
  const verdicts: Verdict[] = [];
  if (none.length > 0) {
    const where = none.map((kind) => `${kind}s in ${facts.ids[kind].delegated.from}`).join(", and no ");
    const text = `${who} has no subordinate ${where}`;
    verdicts.push({ severity: "error", code: "SUBID_NONE", text, ...delegate(facts, none) });
  }
  if (few.length > 0) {
    const where = few.map((kind) => `${delegated(kind)} subordinate ${kind}s in ${facts.ids[kind].delegated.from}`);
    const text = `${who} has only ${where.join(" and ")}; images with ids up to ${ENOUGH - 1} will not unpack`;
    verdicts.push({ severity: "warning", code: "SUBID_NONE", text, ...delegate(facts, few) });
  }
  return [...verdicts, ...kinds.flatMap((kind) => checkUsable(facts, kind))];
}

/** Ids that are delegated, but that the namespace around us does not have, or has in too many pieces. */
function checkUsable(facts: RangeFacts, kind: IdKind): Verdict[] {
  const { delegated, outer } = facts.ids[kind];
  const usable = insideOuterMap(delegated.ranges, outer);
  const [all, some] = [total(delegated.ranges), total(usable)];
  const code = "IDMAP_FAILED";
  const who = describeUser(facts.user);
  if (some < all) {
    const there = extents(outer).map(formatRange).join(", ") || "none";
    const text = `${all - some} of the ${all} subordinate ${kind}s of ${who} (${list(delegated.ranges)}) do not exist in this user namespace, which has ${kind}s ${there}`;
    const fix = `give the container that rlkit runs in more ids, or change ${subidFile(kind)} to ids that it has`;
    return [{ severity: some === 0 ? "error" : "warning", code, text, fix, by: "outside" }];
  }
  const ownId = kind === "uid" ? facts.user.uid : facts.user.gid;
  const map = planIdMap(ownId, usable);
  if (fitsKernel(map)) return [];
  const text = `the ${kind} map of ${who} would have ${map.length} lines; the kernel takes 340, in less than 4096 bytes`;
  return [{ severity: "error", code, text, fix: `join ranges of ${who} in ${delegated.from}`, by: "outside" }];
}

function list(ranges: readonly IdRange[]): string {
  const shown = ranges.slice(0, 3).map(formatRange).join(", ");
  return ranges.length > 3 ? `${shown}, …` : shown;
}

/** The command that delegates ids of these kinds to the user: a range that nobody has. */
function delegate(facts: RangeFacts, lacking: readonly IdKind[]): Pick<Verdict, "fix" | "by"> {
  const { user, subidService } = facts;
  if (subidService === "sss") return { fix: `ipa subid-generate --owner=${user.name ?? user.uid}`, by: "outside" };
  // newuidmap asks either the service or the files, never both.
  if (subidService !== undefined) {
    const fix = `delegate ${ENOUGH} ids in ${subidService}, which /etc/nsswitch.conf names for subid`;
    return { fix, by: "outside" };
  }
  const range = freeEverywhere(facts);
  if (!range) {
    const fix = `free ${ENOUGH} ids in a row in /etc/subuid and /etc/subgid, or give the container that rlkit runs in more ids`;
    return { fix, by: "outside" };
  }
  const files = lacking.map(subidFile);
  if (!facts.localUser) {
    return { fix: `echo ${user.uid}:${range.start}:${range.length} | sudo tee -a ${files.join(" ")}`, by: "root" };
  }
  // usermod refuses the options where there is no such file.
  const missing = lacking.filter((kind) => facts.ids[kind].file === undefined).map(subidFile);
  const touch = missing.length > 0 ? `sudo touch ${missing.join(" ")} && ` : "";
  const options = lacking.map((kind) => `--add-sub${kind}s ${formatRange(range)}`);
  return { fix: `${touch}sudo usermod ${options.join(" ")} ${user.name}`, by: "root" };
}

/** Ids that exist here as uids and as gids, that nobody has been given, and that are not the user's own. */
function freeEverywhere({ user, ids }: RangeFacts): IdRange | undefined {
  const all = { start: 0, length: ID_LIMIT };
  const taken = kinds.flatMap((kind) => [
    ...parseSubidFile(ids[kind].file ?? "").entries,
    ...subtract(all, extents(ids[kind].outer)),
  ]);
  return freeRange([...taken, { start: user.uid, length: 1 }, { start: user.gid, length: 1 }], ENOUGH);
}
