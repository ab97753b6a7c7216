import type { User } from "../../test/helpers/user.ts";
import { benchIdle } from "./ports-idle.ts";
import { benchMany } from "./ports-many.ts";
import { buildTools } from "./ports-tools.ts";
import { benchTraffic } from "./ports-traffic.ts";
import { openWays } from "./ports-ways.ts";
import type { Row } from "./statistics.ts";
import type { Subject } from "./subject.ts";

/**
 * Published ports: bare loopback, RootlessKit's builtin driver and rlkit's, side by side. Nothing is pinned to a processor.
 */
export async function benchPorts(user: User, all: readonly Subject[], rounds: number): Promise<Row[]> {
  const subjects = all.filter(({ variant }) => variant === "");
  const tools = buildTools(user);
  const rows = [];
  {
    await using ways = await openWays(user, subjects, tools);
    rows.push(...(await benchTraffic(ways.all, tools, rounds)));
  }
  // Of these a round takes long, and samples of memory differ little.
  const few = Math.ceil(rounds / 2);
  console.log("  idle connections");
  rows.push(...(await benchIdle(user, subjects, tools, few)));
  console.log("  many ports");
  rows.push(...(await benchMany(user, subjects, tools, few)));
  return rows;
}
