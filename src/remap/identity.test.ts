import { describe, expect, test } from "vitest";
import { findRemapIdentity, parseRemapSpec } from "./identity.ts";
import { madeUpAccounts } from "./made-up-accounts.ts";

const io = madeUpAccounts("");
const find = (value: string) => findRemapIdentity(parseRemapSpec(value), io);
const alice = { name: "alice", uid: 1001, gid: 1001 };

describe("a value of userns-remap", () => {
  test.each([
    ["alice", "alice"],
    ["1001", "alice"],
    ["alice:builders", "builders"],
    ["alice:3000", "builders"],
    ["1001:100", "users"],
    ["1001:users", "users"],
  ])("%s is alice and the group %s", (value, group) => {
    expect(find(value)).toEqual({ user: alice, group });
  });

  test("default is dockremap, whom dockerd would make", () => {
    expect(parseRemapSpec("default")).toEqual({ user: "dockremap", group: "dockremap", isDefault: true });
    expect(parseRemapSpec("dockremap")).toEqual({ user: "dockremap", group: "dockremap", isDefault: false });
    expect(() => find("default")).toThrow("there is no user dockremap");
  });

  test.each([
    ["", '"" is no value of userns-remap'],
    ["alice:", '"alice:" is no value of userns-remap'],
    [":users", '":users" is no value of userns-remap'],
    ["alice:users:x", '"alice:users:x" is no value of userns-remap'],
    ["carol", "there is no user carol"],
    ["1003", "there is no user with uid 1003"],
    ["alice:nobody", "there is no group nobody, which dockerd wants"],
    ["alice:7", "there is no group with gid 7, which dockerd wants"],
    ["root", "root can't be remapped with itself: dockerd runs containers without a map then"],
    ["0", "root can't be remapped with itself: dockerd runs containers without a map then"],
  ])("%j: %s", (value, message) => {
    expect(() => find(value)).toThrow(expect.objectContaining({ code: "USAGE", message }));
  });

  test("without a group, one of the user's name has to exist, whatever the primary group is", () => {
    expect(() => find("bob")).toThrow("there is no group bob, which dockerd wants");
    expect(() => find("1002")).toThrow("there is no group with gid 1002, which dockerd wants");
    expect(find("bob:users").group).toBe("users");
  });

  test("getent knows the users and groups of directory services", () => {
    const answers: Record<string, string> = {
      "getent passwd carol": "carol:*:70001:70000:Carol:/home/carol:/bin/sh\n",
      "getent group staff": "staff:*:70002:carol\n",
    };
    const run = (argv: readonly string[]) => {
      const stdout = answers[argv.join(" ")] ?? "";
      return { status: stdout === "" ? 2 : 0, stdout, stderr: "" };
    };
    expect(findRemapIdentity(parseRemapSpec("carol:staff"), { ...io, run })).toEqual({
      user: { name: "carol", uid: 70001, gid: 70000 },
      group: "staff",
    });
  });
});
