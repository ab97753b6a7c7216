import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

test("the first try comes at once, each further one later; after five failures every 10 s", () => {
  const backoff = new Backoff();
  expect([0, 1, 2, 3].map((at) => backoff.failed(at))).toEqual([0, 100, 200, 400]);
  expect(backoff.often(4)).toBeUndefined();
  expect(backoff.failed(5)).toBe(10_000);
  expect(backoff.often(5)).toBe("failed 5 times within 60 s");
  expect(backoff.failed(10_005)).toBe(10_000);
});

test("what is more than 60 s ago is forgotten", () => {
  const backoff = new Backoff();
  for (let at = 0; at < 5; at += 1) backoff.failed(at);
  expect(backoff.often(60_003)).toBeUndefined();
  expect(backoff.failed(60_010)).toBe(0);
});
