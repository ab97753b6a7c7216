import { afterEach, beforeEach, expect, test } from "vitest";
import { planFaults } from "../scripts/chaos/plan.ts";
import { chaos } from "../scripts/chaos/run.ts";
import { tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user[Symbol.asyncDispose]());

test("the same seed gives the same faults, and with some left out the same others", () => {
  const plan = planFaults(7, 120_000);
  expect(plan.length).toBeGreaterThan(60);
  expect(planFaults(7, 120_000)).toEqual(plan);
  expect(planFaults(8, 120_000)).not.toEqual(plan);
  const fewer = plan.filter(({ fault }) => fault.do !== "request" && !("role" in fault && fault.role === "portd"));
  expect(planFaults(7, 120_000, ["request", "portd"])).toEqual(fewer);
});

test("a fault never ends what everything hangs on: rlkit, init, or dockerd in order", () => {
  const faults = Array.from({ length: 50 }, (_, seed) => planFaults(seed, 120_000)).flat();
  for (const { fault } of faults) {
    if (fault.do !== "signal") continue;
    if (fault.role === "rlkit" || fault.role === "init") expect(fault.signal).toBe("SIGHUP");
    if (fault.role === "dockerd") expect(fault.signal).not.toBe("SIGTERM");
  }
});

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
