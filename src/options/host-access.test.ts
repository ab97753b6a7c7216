import { expect, test } from "vitest";
import { formatHostPort, parseHostAccess } from "./host-access.ts";

test.each([
  ["none", false, []],
  ["all", true, []],
  ["5432", false, ["5432"]],
  ["5432, 53/udp,5432,53/tcp", false, ["5432", "53/udp", "53"]],
])("%s", (text, all, ports) => {
  const access = parseHostAccess(text);
  expect([access.all, access.ports.map(formatHostPort)]).toEqual([all, ports]);
});

test.each(["", "0", "65536", "80,", "80/sctp", "a", "-1", "80-90", "ALL"])("%j is no port", (text) => {
  expect(() => parseHostAccess(text)).toThrow(/^--host-access=.*is no port$/);
});
