import { expect, test } from "vitest";
import { type ProfileName, resolveSupervision } from "./supervision.ts";

const resolve = (values: Record<string, string | number>, profile: ProfileName = "plain", env = {}) =>
  resolveSupervision({ "live-restore": "auto", ...values }, env, profile);

test("the defaults of a command, and of a daemon", () => {
  expect(resolve({})).toMatchObject({
    restart: "no",
    max: undefined,
    delay: 100,
    stopTimeout: undefined,
    healthInterval: 0,
  });
  for (const profile of ["docker", "containerd"] as const)
    expect(resolve({}, profile)).toMatchObject({ restart: "on-failure", stopTimeout: 30_000 });
});

test.each([
  ["no", { restart: "no", max: undefined }],
  ["on-failure", { restart: "on-failure", max: undefined }],
  ["on-failure:3", { restart: "on-failure", max: 3 }],
  ["always", { restart: "always" }],
  ["unless-stopped", { restart: "unless-stopped" }],
])("--restart=%s", (restart, expected) => {
  expect(resolve({ restart })).toMatchObject(expected);
});

test.each([
  [{ restart: "never" }, "--restart=never is no restart policy"],
  [{ restart: "always:3" }, "--restart=always:3 is no restart policy"],
  [{ restart: "on-failure:x" }, "is no restart policy"],
  [{ "restart-burst": "5" }, "--restart-burst=5 is not like 5/60"],
  [{ "restart-burst": "a/b" }, "is not like 5/60"],
  [{ "restart-delay": "soon" }, "--restart-delay=soon is no duration"],
  [{ "stop-timeout": "1h" }, "--stop-timeout=1h is no duration"],
  [{ "health-interval": "x" }, "--health-interval=x is no duration"],
  [{ "ready-fd": 2 }, "--ready-fd=2 is no descriptor"],
])("%j: %s", (values, why) => {
  expect(() => resolve(values as Record<string, string | number>)).toThrow(why);
});

test("bursts and times in milliseconds", () => {
  const values = { "restart-burst": "3/1.5", "restart-delay": "2s", "stop-timeout": "500ms", "health-interval": "1m" };
  expect(resolve(values)).toMatchObject({
    burst: { count: 3, within: 1500 },
    delay: 2000,
    stopTimeout: 500,
    healthInterval: 60_000,
  });
});

test.each([
  [{}, undefined],
  [{ NOTIFY_SOCKET: "" }, undefined],
  [{ NOTIFY_SOCKET: "/s" }, { socket: "/s", watchdog: undefined }],
  [
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "3000000" },
    { socket: "/s", watchdog: 3000 },
  ],
  [
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "3000000", WATCHDOG_PID: String(process.pid) },
    { socket: "/s", watchdog: 3000 },
  ],
  [
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "3000000", WATCHDOG_PID: "1" },
    { socket: "/s", watchdog: undefined },
  ],
  [
    { NOTIFY_SOCKET: "/s", WATCHDOG_USEC: "x" },
    { socket: "/s", watchdog: undefined },
  ],
])("the service manager of %j", (env, expected) => {
  expect(resolve({}, "plain", env).manager).toEqual(expected);
});
