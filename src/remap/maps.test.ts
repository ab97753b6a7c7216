import { describe, expect, test } from "vitest";
import { formatIdMap } from "../idmap/map.ts";
import { madeUpAccounts } from "./made-up-accounts.ts";
import { asOption, isMixed, remapMaps } from "./maps.ts";

const alice = { name: "alice", uid: 1001, gid: 1001 };
const maps = (subuid: string | undefined, subgid = subuid) => remapMaps(alice, madeUpAccounts(subuid, subgid));

describe("the maps of dockerd's userns-remap", () => {
  test("have all ranges of the user, in the file's order, from 0 on", () => {
    const { maps: found } = maps("alice:300000:10\nbob:400000:65536\nalice:5000:1\nalice:100000:65536\n");
    expect(formatIdMap(found.uid)).toBe("0 300000 10\n10 5000 1\n11 100000 65536\n");
    expect(asOption(found.uid)).toEqual(["0:300000:10", "10:5000:1", "11:100000:65536"]);
  });

  test("take gids from the user's lines, not from those of a group", () => {
    const { maps: found } = maps("alice:100000:65536\n", "builders:700000:65536\nalice:800000:65536\n1001:900000:1\n");
    expect(formatIdMap(found.gid)).toBe("0 800000 65536\n65536 900000 1\n");
  });

  test("keep ranges apart that touch, as dockerd does", () => {
    expect(formatIdMap(maps("alice:100000:10\nalice:100010:10\n").maps.uid)).toBe("0 100000 10\n10 100010 10\n");
  });

  test.each([
    ["no line", "bob:1:1\n", undefined, "SUBID_NONE", "alice (1001) has no subordinate uids in /etc/subuid"],
    ["no file", "alice:1:1\n", "", "SUBID_NONE", "alice (1001) has no subordinate gids in /etc/subgid"],
    [
      "a line of the user's that is none",
      "alice:100000\n",
      undefined,
      "SUBID_FILE",
      '/etc/subuid line 1: "alice:100000": it has 2 fields',
    ],
    [
      "ranges that overlap",
      "# ids\nalice:100000:65536\n1001:165535:9\n",
      undefined,
      "IDMAP_FAILED",
      "/etc/subuid lines 2 and 3 both give uids 165535-165535 to alice (1001): the kernel refuses the map, and no container starts",
    ],
  ])("%s: there are none", (_, subuid, subgid, code, message) => {
    expect(() => maps(subuid, subgid)).toThrow(expect.objectContaining({ code, message }));
  });

  test("lines by name and by uid are told apart", () => {
    expect(isMixed(maps("alice:1:1\n1001:2:1\n").entries.uid)).toBe(true);
    expect(isMixed(maps("1001:1:1\n1001:2:1\n").entries.uid)).toBe(false);
  });
});
