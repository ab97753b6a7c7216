import { describe, expect, test } from "vitest";
import type { SubidIo } from "../idmap/source.ts";
import { madeUpAccounts } from "./made-up-accounts.ts";
import { runMaps } from "./run-maps.ts";

const ALICES = "alice:100000:65536\nalice:200000:10\n";

/** Whether `uid` may have alice's maps; what /proc says is the machine's, or a container's with few ids. */
function ask(uid: number, subuid = ALICES, { subgid = subuid, exist = 4294967295, value = "alice" } = {}) {
  const accounts = madeUpAccounts(subuid, subgid);
  const io: SubidIo = {
    ...accounts,
    env: {},
    readFile: (path) => (path.startsWith("/proc/self/") ? `0 0 ${exist}\n` : accounts.readFile(path)),
  };
  const name = { 0: "root", 1001: "alice", 1002: "bob" }[uid];
  return runMaps(value, { name, uid, gid: uid }, "auto", io);
}

const refusal = (message: string, hint = /./) =>
  expect.objectContaining({ code: "IDMAP_OPTION", message, hint: expect.stringMatching(hint) });

describe("the maps of --map=remap:alice", () => {
  const maps = { uidMap: ["0:100000:65536", "65536:200000:10"], gidMap: ["0:100000:65536", "65536:200000:10"] };

  test.each([1001, 0])("are for herself and for root (%i)", (uid) => {
    expect(ask(uid)).toEqual(maps);
  });

  test("are for a user who has the same ranges, or wider ones", () => {
    expect(ask(1002, `${ALICES}bob:90000:200000\n`)).toEqual(maps);
  });

  test("are not for others: the first range that is not theirs is named", () => {
    expect(() => ask(1002)).toThrow(
      refusal(
        "--map=remap:alice: uids 100000-165535 of /etc/subuid are not delegated to bob (1002)",
        /1002 \(its own, with length 1\); no others$/,
      ),
    );
    expect(() => ask(1002, `${ALICES}bob:100000:65536\n`)).toThrow(
      refusal("--map=remap:alice: uids 200000-200009 of /etc/subuid are not delegated to bob (1002)"),
    );
    expect(() => ask(1002, `${ALICES}bob:90000:200000\n`, { subgid: ALICES })).toThrow(
      refusal("--map=remap:alice: gids 100000-165535 of /etc/subgid are not delegated to bob (1002)"),
    );
  });

  test("with the caller's own id, which needs no delegation", () => {
    expect(ask(1001, "alice:1001:1\nalice:100000:9\n").uidMap).toEqual(["0:1001:1", "1:100000:9"]);
  });

  test("are for root only as far as the ids exist", () => {
    expect(() => ask(0, ALICES, { exist: 65536 })).toThrow(
      refusal("--map=remap:alice: uids 100000-165535 of /etc/subuid do not exist in this user namespace"),
    );
  });

  test("a user or group that does not exist is an error of use", () => {
    expect(() => ask(0, ALICES, { value: "bob" })).toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});
