import { expect, test } from "vitest";
import type { CgroupFacts } from "../host/cgroup-facts.ts";
import { limitNotes } from "./limits.ts";

const good: CgroupFacts = {
  uid: 1000,
  version2: true,
  userManager: true,
  group: "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
  delegated: true,
  controllers: ["cpuset", "cpu", "io", "memory", "pids", "misc"],
};

test("where all controllers are delegated, nothing is to be said", () => {
  expect(limitNotes(good)).toEqual([]);
});

test.each<[string, Partial<CgroupFacts>, string, string]>([
  ["version 1", { version2: false, delegated: false }, "info", "this host has cgroup version 1"],
  ["no user manager", { userManager: false, delegated: false }, "info", "there is no systemd user session"],
  [
    "a login session's own group",
    { group: "/user.slice/user-1000.slice/session-3.scope", delegated: false },
    "warn",
    "the cgroup /user.slice/user-1000.slice/session-3.scope is not this user's; rlkit run --scope takes one that is",
  ],
  [
    "systemd's defaults",
    { controllers: ["memory", "pids"] },
    "info",
    "no limits of cpu, cpuset, io, which are not delegated to users. As root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' >",
  ],
])("%s: one note, with what to do where something can be done", (_, facts, level, text) => {
  expect(limitNotes({ ...good, ...facts })).toEqual([{ level, text: expect.stringContaining(text) }]);
});
