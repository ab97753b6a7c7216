import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compare } from "../scripts/compare/compare.ts";
import { tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

/** The differences of other versions are others. */
const version = /version (\S+)/.exec(execFileSync("/usr/bin/rootlesskit", ["--version"], { encoding: "utf8" }))?.[1];

test.skipIf(version !== "1.1.0")(
  "rlkit does as the machine's RootlessKit does, but for what is known and explained",
  {
    timeout: 120_000,
  },
  async () => {
    const { cases, unexplained, outdated } = await compare(user, { theirs: "/usr/bin", ours: `${tree()}/bin` });
    expect(unexplained).toEqual([]);
    expect(outdated.map(({ what }) => what)).toEqual([]);
    expect(cases).toBeGreaterThan(150);
  },
);
