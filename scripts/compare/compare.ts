import type { User } from "../../test/helpers/user.ts";
import { type Case, cases } from "./cases.ts";
import { type Difference, differences } from "./differences.ts";
import { Subject, type Transcript } from "./subject.ts";

/** How many cases are under way at once. */
const AT_ONCE = 3;

/** What differs in one case beyond what is known: the two texts by the name of what they are. */
interface Found {
  readonly id: string;
  readonly parts: readonly { readonly name: string; readonly theirs: string; readonly ours: string }[];
}

/** What a comparison has come to. */
export interface Comparison {
  readonly cases: number;
  /** In how many cases each known difference shows. */
  readonly known: ReadonlyMap<Difference, number>;
  readonly unexplained: readonly Found[];
  /** Entries of which nothing is to be seen any more. */
  readonly outdated: readonly Difference[];
}

/** Runs all cases (those whose id contains `only`, if given) with both, whose programs lie in these directories. */
export async function compare(user: User, bins: Bins, only = ""): Promise<Comparison> {
  const waiting = cases.filter(({ id }) => id.includes(only));
  const all = waiting.length;
  const known = new Map(differences.map((entry) => [entry, 0]));
  const unexplained: Found[] = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
        let { shown, parts } = await differing(each, user, bins);
        // RootlessKit's own processes race with each other: what it did otherwise once is not what it does.
        if (parts.length > 0) ({ shown, parts } = await differing(each, user, bins));
        for (const entry of shown) known.set(entry, (known.get(entry) ?? 0) + 1);
        if (parts.length > 0) unexplained.push({ id: each.id, parts });
      }
    }),
  );
  const outdated = only === "" ? differences.filter((entry) => known.get(entry) === 0) : [];
  return { cases: all, known, unexplained, outdated };
}

interface Bins {
  readonly theirs: string;
  readonly ours: string;
}

/** The known differences that a case shows, and what is left when they are taken away. */
async function differing(
  each: Case,
  user: User,
  bins: Bins,
): Promise<{ shown: Set<Difference>; parts: Found["parts"] }> {
  const theirs = await transcript(each, user, "theirs", bins.theirs);
  const ours = await transcript(each, user, "ours", bins.ours);
  const shown = new Set<Difference>();
  const names = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
  const parts = names
    .map((name) => ({ name, ...withoutKnown(each.id, theirs[name] ?? "", ours[name] ?? "", shown) }))
    .filter((part) => part.theirs !== part.ours);
  return { shown, parts };
}

async function transcript(each: Case, user: User, name: string, bin: string): Promise<Transcript> {
  await using subject = await Subject.make(name, user, bin);
  return await each.run(subject).catch((error: Error) => ({ failed: error.message.split("\n")[0] ?? "" }));
}

/** Takes the known differences away from two texts that differ, and notes them. */
function withoutKnown(id: string, theirs: string, ours: string, shown: Set<Difference>): Bins {
  let texts: Bins = { theirs, ours };
  for (const entry of differences) {
    if (texts.theirs === texts.ours || entry.in?.test(id) === false) continue;
    const after = {
      theirs: entry.theirs === undefined ? texts.theirs : texts.theirs.replace(...entry.theirs),
      ours: entry.ours === undefined ? texts.ours : texts.ours.replace(...entry.ours),
    };
    if (after.theirs !== texts.theirs || after.ours !== texts.ours) shown.add(entry);
    texts = after;
  }
  return texts;
}
