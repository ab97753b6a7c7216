import { RlkitError } from "../errors.ts";
import type { IdMap, IdMapEntry } from "./map.ts";
import { covers, formatRange, ID_LIMIT, type IdRange, intersect, parseDecimal } from "./ranges.ts";

/** What newuidmap(1) lets a user map: the own id, alone, and ids within the delegated ranges. */
export interface AllowedIds {
  ownId: number;
  ranges: readonly IdRange[];
}

function parseEntry(option: string, text: string): IdMapEntry {
  const fields = text.split(":").map(parseDecimal);
  const [inside, outside, length] = fields;
  if (inside === undefined || outside === undefined || length === undefined || fields.length > 3) {
    throw new RlkitError("IDMAP_OPTION", `${option}: ${JSON.stringify(text)} is not inside:outside:length`, {
      hint: `write three decimal numbers, for example ${option} 0:1000:1`,
    });
  }
  if (length === 0) throw new RlkitError("IDMAP_OPTION", `${option}: ${text} maps nothing: its length is 0`);
  if (Math.max(inside, outside) + length > ID_LIMIT) {
    throw new RlkitError("IDMAP_OPTION", `${option}: ${text} goes past the last id, ${ID_LIMIT - 1}`);
  }
  return { inside, outside, length };
}

const insideOf = ({ inside, length }: IdMapEntry): IdRange => ({ start: inside, length });
const outsideOf = ({ outside, length }: IdMapEntry): IdRange => ({ start: outside, length });
const written = ({ inside, outside, length }: IdMapEntry): string => `${inside}:${outside}:${length}`;

/** The kernel refuses an overlap on either side with EINVAL and does not say which. */
function refuseOverlaps(option: string, map: IdMap): void {
  for (const [index, entry] of map.entries()) {
    for (const earlier of map.slice(0, index)) {
      const inside = intersect(insideOf(earlier), insideOf(entry));
      const common = inside ?? intersect(outsideOf(earlier), outsideOf(entry));
      if (!common) continue;
      const ids = `${inside ? "inside" : "outside"} ${formatRange(common)}`;
      throw new RlkitError("IDMAP_OPTION", `${option}: ${written(earlier)} and ${written(entry)} both map ${ids}`);
    }
  }
}

/** The first entry that newuidmap would not map for this user. */
export function refusedEntry(map: IdMap, { ownId, ranges }: AllowedIds): IdMapEntry | undefined {
  return map.find((entry) => !((entry.outside === ownId && entry.length === 1) || covers(ranges, outsideOf(entry))));
}

/** What a user can map, as a hint. */
export function allowedHint({ ownId, ranges }: AllowedIds): string {
  const delegated = ranges.map(formatRange).join(", ") || "no others";
  return `ids that can be mapped: ${ownId} (its own, with length 1); ${delegated}`;
}

function refuseUndelegated(option: string, map: IdMap, allowed: AllowedIds): void {
  const entry = refusedEntry(map, allowed);
  if (entry === undefined) return;
  const text = `${option}: ${written(entry)}: outside ${formatRange(outsideOf(entry))} is not delegated to this user`;
  throw new RlkitError("IDMAP_OPTION", text, { hint: allowedHint(allowed) });
}

/**
 * The map that `--uid-map` or `--gid-map` (`option`) asks for: `values` are inside:outside:length, one or several with commas in
 * each. Throws IDMAP_OPTION for what the kernel or newuidmap would refuse, and for a map without inside id 0: the target would
 * run as nobody.
 */
export function parseMapOption(option: string, values: readonly string[], allowed: AllowedIds): IdMap {
  const map = values.flatMap((value) => value.split(",")).map((text) => parseEntry(option, text));
  refuseOverlaps(option, map);
  refuseUndelegated(option, map, allowed);
  if (!map.some(({ inside }) => inside === 0)) {
    throw new RlkitError("IDMAP_OPTION", `${option}: inside id 0, as which the command starts, is not mapped`, {
      hint: `add ${option} 0:${allowed.ownId}:1`,
    });
  }
  return map;
}
