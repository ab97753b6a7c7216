import { RlkitError } from "../errors.ts";
import { ID_LIMIT, type IdRange, parseDecimal } from "./ranges.ts";

/** A line of subuid(5) or subgid(5). `owner` is a login name or a decimal uid, in /etc/subgid too. */
export interface SubidEntry extends IdRange {
  owner: string;
  /** Counted from 1. */
  line: number;
}

/** A line that is no entry, and why. `owner` is undefined where it cannot be told. */
export interface MalformedLine {
  owner: string | undefined;
  line: number;
  text: string;
  reason: string;
}

/** What a line is worth: its range, or what is wrong with it. */
function parseFields(text: string): IdRange | string {
  const fields = text.split(":");
  const [owner, first, count] = fields;
  if (owner === undefined || first === undefined || count === undefined || fields.length > 3) {
    return `it has ${fields.length} field${fields.length === 1 ? "" : "s"}`;
  }
  if (owner === "") return "it has no name";
  // newuidmap compares names with their spaces, and to it a number with a space or a carriage return after it is none.
  if (fields.some((field) => field !== field.trim())) return "there is white space in it";
  const [start, length] = [parseDecimal(first), parseDecimal(count)];
  if (start === undefined) return `the start ${JSON.stringify(first)} is not a plain decimal number`;
  if (length === undefined) return `the count ${JSON.stringify(count)} is not a plain decimal number`;
  if (length === 0) return "the count is 0";
  if (start + length > ID_LIMIT) return `it ends at ${start + length - 1}, past the last id, ${ID_LIMIT - 1}`;
  return { start, length };
}

/** Everybody's entries in the text of /etc/subuid or /etc/subgid, and the lines that are none. Skips blank lines and `#`. */
export function parseSubidFile(text: string): { entries: SubidEntry[]; malformed: MalformedLine[] } {
  const entries: SubidEntry[] = [];
  const malformed: MalformedLine[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    const trimmed = content.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const owner = (trimmed.includes(":") && trimmed.split(":", 1)[0]?.trim()) || undefined;
    const line = index + 1;
    const range = parseFields(content);
    if (typeof range === "string") malformed.push({ owner, line, text: content, reason: range });
    else entries.push({ owner: owner ?? "", line, ...range });
  }
  return { entries, malformed };
}

/**
 * The entries of one user, known by `owners` (name and decimal uid), in the order of the file; `path` is for the message. Throws
 * SUBID_FILE for a malformed line that is this user's or nobody's. Somebody else's typing error is no reason not to start:
 * newuidmap passes over such lines, too.
 */
export function ownEntries(path: string, text: string, owners: readonly string[]): SubidEntry[] {
  const { entries, malformed } = parseSubidFile(text);
  const bad = malformed.find(({ owner }) => owner === undefined || owners.includes(owner));
  if (bad) {
    throw new RlkitError("SUBID_FILE", `${path} line ${bad.line}: ${JSON.stringify(bad.text)}: ${bad.reason}`, {
      hint: `write it as name:start:count, for example ${owners[0]}:100000:65536`,
    });
  }
  return entries.filter(({ owner }) => owners.includes(owner));
}
