import type { IdMap } from "../idmap/map.ts";
import type { IdKind } from "../idmap/source.ts";
import { describeUser, type User } from "../idmap/user.ts";

/** A map for people: inside, outside and length of each range, below a line that says whose it is and where it comes from. */
export function idMapTable(kind: IdKind, user: User, map: IdMap, from: string): string {
  const rows = [
    ["inside", "outside", "length"],
    ...map.map(({ inside, outside, length }) => [inside, outside, length].map(String)),
  ];
  const lines = rows.map((row) => row.map((cell) => cell.padStart(10)).join(" "));
  return `${kind} map of ${describeUser(user)}, from ${from}\n${lines.join("\n")}\n`;
}
