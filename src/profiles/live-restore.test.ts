import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { dockerFacts } from "../../test/helpers/plans.ts";
import type { DockerFacts } from "../host/docker-facts.ts";
import { resolveSupervision } from "../options/supervision.ts";
import { wantsLiveRestore, withLiveRestore, writeLiveRestore } from "./live-restore.ts";

const directory = mkdtempSync(join(tmpdir(), "live-"));
afterAll(() => rmSync(directory, { recursive: true }));

describe("whether it is asked for", () => {
  const wanted = (liveRestore: string, docker: Partial<DockerFacts> = {}, restart = "on-failure") =>
    wantsLiveRestore(resolveSupervision({ "live-restore": liveRestore, restart }, {}, "docker"), {
      ...dockerFacts,
      ...docker,
    });

  test("by default, where a dockerd that fails is started again", () => {
    expect(wanted("auto")).toEqual({ wanted: true });
    expect(wanted("auto", {}, "no")).toEqual({ wanted: false });
    expect(wanted("true", {}, "no")).toEqual({ wanted: true });
    expect(wanted("false")).toEqual({ wanted: false });
  });

  test("not where the user has decided, or where daemon.json can't be read", () => {
    const settings = { ...dockerFacts.settings, liveRestore: true };
    expect(wanted("true", { settings })).toEqual({ wanted: false });
    expect(wanted("true", { config: undefined })).toEqual({ wanted: false });
  });

  test("not in swarm mode, which excludes it: that is told", () => {
    expect(wanted("auto", { swarm: true })).toEqual({ wanted: false, note: expect.stringContaining("swarm mode") });
  });
});

test.each([
  [undefined, { "live-restore": true }],
  ['{"debug": true, "live-restore": false}', { debug: true, "live-restore": true }],
])("%j with live-restore", (text, expected) => {
  expect(JSON.parse(withLiveRestore(text, true))).toEqual(expected);
  expect(JSON.parse(withLiveRestore(text, false))).toMatchObject({ "live-restore": false });
});

test.each(["[1]", "null", "{", "7"])("%s is left to dockerd to complain about", (text) => {
  expect(withLiveRestore(text, true)).toBe(text);
});

test("the copy follows the user's file as it is now", () => {
  const [from, to] = [join(directory, "daemon.json"), join(directory, "copy.json")];
  writeLiveRestore({ from, to }, true);
  expect(JSON.parse(readFileSync(to, "utf8"))).toEqual({ "live-restore": true });
  writeFileSync(from, '{"labels": ["a=b"]}');
  writeLiveRestore({ from, to }, false);
  expect(JSON.parse(readFileSync(to, "utf8"))).toEqual({ labels: ["a=b"], "live-restore": false });
});
