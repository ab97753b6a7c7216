import { describe, expect, test } from "vitest";
import { describeUser, findUser } from "./user.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1001:2001::/home/alice:/bin/sh\n";
const noGetent = { readFile: () => passwd, run: () => ({ status: 127, stdout: "", stderr: "" }) };
const alice = { name: "alice", uid: 1001, gid: 2001 };

describe("findUser", () => {
  test("asks getent, which knows the users of directory services", () => {
    const run = (argv: readonly string[]) => ({
      status: argv.join(" ") === "getent passwd carol" ? 0 : 2,
      stdout: "carol:*:70001:70000:Carol:/home/carol:/bin/sh\n",
      stderr: "",
    });
    expect(findUser("carol", { readFile: () => "", run })).toEqual({ name: "carol", uid: 70001, gid: 70000 });
  });

  test.each(["alice", "1001"])("finds %s in /etc/passwd where there is no getent", (name) => {
    expect(findUser(name, noGetent)).toEqual(alice);
  });

  test.each(["", "bob", "1002", "ali", "undefined"])("finds nobody called %j", (name) => {
    expect(findUser(name, noGetent)).toBeUndefined();
  });
});

test("a user is called by name and uid, or by the uid alone", () => {
  expect(describeUser(alice)).toBe("alice (1001)");
  expect(describeUser({ name: undefined, uid: 4711 })).toBe("uid 4711");
});
