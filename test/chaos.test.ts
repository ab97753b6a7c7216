import { afterEach, beforeEach, expect, test } from "vitest";
import { chaos } from "../scripts/chaos/run.ts";
import { tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

// `npm run chaos` does the same for longer, with any seed.
test("after 20 s of kills, stops and nonsense everything serves, and after the end nothing is left", {
  timeout: 180_000,
}, async () => {
  const said: string[] = [];
  const { wrong, faults, fetched } = await chaos({
    user,
    tree: tree(),
    seed: 4,
    seconds: 20,
    say: (line) => said.push(line),
  });
  expect(wrong, said.join("\n")).toEqual([]);
  expect(faults).toBeGreaterThan(10);
  expect(fetched).toBeGreaterThan(50);
});
