import { describe, expect, test } from "vitest";
import { checkIdMaps, type IdMapFacts, type ToolFacts } from "./check.ts";
import type { IdFacts } from "./check-ranges.ts";
import { parseIdMap } from "./map.ts";
import type { IdRange } from "./ranges.ts";
import { shellWord, toError } from "./verdict.ts";

const initial = parseIdMap("0 0 4294967295");

const tool = (name: string, changes: Partial<ToolFacts> = {}): ToolFacts => ({
  path: `/usr/bin/${name}`,
  owner: 0,
  setuid: true,
  capability: undefined,
  nosuidMount: undefined,
  ...changes,
});

const ids = (path: string, ranges: IdRange[], changes: Partial<IdFacts> = {}): IdFacts => ({
  delegated: { ranges, from: path },
  file: ranges.map(({ start, length }) => `alice:${start}:${length}\n`).join(""),
  outer: initial,
  ...changes,
});

const plenty = [{ start: 100000, length: 65536 }];
const uids = (ranges = plenty, changes: Partial<IdFacts> = {}): IdFacts => ids("/etc/subuid", ranges, changes);
const gids = (ranges = plenty, changes: Partial<IdFacts> = {}): IdFacts => ids("/etc/subgid", ranges, changes);

/** A machine where all is well, but for `changes`. */
const facts = (changes: Partial<IdMapFacts> = {}): IdMapFacts => ({
  user: { name: "alice", uid: 1001, gid: 1001 },
  gid: 1001,
  localUser: true,
  subidService: undefined,
  noNewPrivs: false,
  path: "/usr/bin:/bin",
  newuidmap: tool("newuidmap"),
  newgidmap: tool("newgidmap"),
  ids: { uid: uids(), gid: gids() },
  ...changes,
});

/** The only verdict there is. */
function only(changes: Partial<IdMapFacts>) {
  const verdicts = checkIdMaps(facts(changes));
  expect(verdicts).toHaveLength(1);
  return verdicts[0] ?? expect.unreachable();
}

test("a machine where all is well has no verdict", () => {
  expect(checkIdMaps(facts())).toEqual([]);
});

test("every verdict is one line, says what to do, and becomes an error with that as its hint", () => {
  const verdicts = checkIdMaps(
    facts({
      noNewPrivs: true,
      newuidmap: undefined,
      gid: 5,
      ids: { uid: uids([]), gid: gids([{ start: 9, length: 9 }]) },
    }),
  );
  expect(verdicts).toHaveLength(5);
  for (const verdict of verdicts) {
    expect(verdict.text).not.toContain("\n");
    expect(verdict.fix).not.toBe("");
    expect(toError(verdict)).toMatchObject({ code: verdict.code, message: verdict.text, hint: verdict.fix });
  }
});

describe("privileges", () => {
  test("no_new_privs is an error that names who may have set it", () => {
    const { severity, code, fix } = only({ noNewPrivs: true });
    expect([severity, code]).toEqual(["error", "NO_NEW_PRIVS"]);
    for (const cause of ["NoNewPrivileges=", "--security-opt no-new-privileges", "setpriv --no-new-privs"]) {
      expect(fix).toContain(cause);
    }
  });

  test("root needs neither new privileges nor the setuid bit", () => {
    const user = { name: "root", uid: 0, gid: 0 };
    const newuidmap = tool("newuidmap", { setuid: false, capability: false });
    expect(checkIdMaps(facts({ user, gid: 0, noNewPrivs: true, newuidmap }))).toEqual([]);
  });
});

describe("newuidmap and newgidmap", () => {
  test("both missing is one error that names the packages", () => {
    const { code, text, fix } = only({ newuidmap: undefined, newgidmap: undefined });
    expect(code).toBe("IDMAP_TOOL");
    expect(text).toContain("newuidmap and newgidmap not found on PATH (/usr/bin:/bin)");
    expect(fix).toContain("sudo apt-get install uidmap");
    expect(fix).toContain("sudo dnf install shadow-utils");
  });

  test("one missing is an error that names it", () => {
    expect(only({ newgidmap: undefined }).text).toMatch(/^newgidmap not found/);
  });

  test("neither setuid bit nor file capability is an error for each program", () => {
    const bare = { setuid: false, capability: false };
    const verdicts = checkIdMaps(facts({ newuidmap: tool("newuidmap", bare), newgidmap: tool("newgidmap", bare) }));
    expect(verdicts.map(({ text }) => text)).toEqual([
      "/usr/bin/newuidmap has neither the setuid bit nor the file capability cap_setuid, so it cannot write id maps",
      "/usr/bin/newgidmap has neither the setuid bit nor the file capability cap_setgid, so it cannot write id maps",
    ]);
    expect(verdicts[0]?.fix).toBe("sudo chmod u+s /usr/bin/newuidmap");
  });

  test("the file capability is as good as the setuid bit", () => {
    expect(checkIdMaps(facts({ newuidmap: tool("newuidmap", { setuid: false, capability: true }) }))).toEqual([]);
  });

  test("a capability that cannot be asked for is only a warning", () => {
    expect(only({ newuidmap: tool("newuidmap", { setuid: false }) })).toMatchObject({
      severity: "warning",
      text: "/usr/bin/newuidmap has no setuid bit, and without getcap it is unknown whether it has the file capability cap_setuid",
    });
  });

  test("setuid to somebody else than root is an error", () => {
    expect(only({ newuidmap: tool("newuidmap", { owner: 65534 }) })).toMatchObject({
      severity: "error",
      text: "/usr/bin/newuidmap is setuid, but to uid 65534 and not to root",
      fix: "sudo chown root /usr/bin/newuidmap && sudo chmod u+s /usr/bin/newuidmap",
    });
  });

  test("a nosuid mount is an error, whatever the program has", () => {
    const newuidmap = tool("newuidmap", { nosuidMount: "/mnt/my tools", capability: true });
    expect(only({ newuidmap })).toMatchObject({ severity: "error", fix: "sudo mount -o remount,suid '/mnt/my tools'" });
  });
});

describe("the user", () => {
  test("without passwd entry is an error: newuidmap refuses such", () => {
    const { code, text, fix } = only({ user: { name: undefined, uid: 4711, gid: 4711 }, gid: 4711, localUser: false });
    expect(code).toBe("IDMAP_TOOL");
    expect(text).toContain("uid 4711 has no passwd entry");
    expect(fix).toBe("sudo useradd --uid 4711 --no-create-home u4711");
  });

  test("in another group than the primary one is a warning", () => {
    const { severity, text } = only({ gid: 999 });
    expect(severity).toBe("warning");
    expect(text).toContain("this process has group 999, not alice's primary group 1001");
  });
});

describe("the ranges", () => {
  const bob = "bob:100000:65536\n";

  test("none of either kind is one error, with the command that delegates a free range", () => {
    const none = { uid: uids([], { file: bob }), gid: gids([], { file: "bob:165536:65536\n" }) };
    expect(only({ ids: none })).toEqual({
      severity: "error",
      code: "SUBID_NONE",
      by: "root",
      text: "alice (1001) has no subordinate uids in /etc/subuid, and no gids in /etc/subgid",
      fix: "sudo usermod --add-subuids 231072-296607 --add-subgids 231072-296607 alice",
    });
  });

  test("none of one kind is an error about that kind", () => {
    expect(only({ ids: { uid: uids(), gid: gids([]) } })).toMatchObject({
      severity: "error",
      text: "alice (1001) has no subordinate gids in /etc/subgid",
      fix: "sudo usermod --add-subgids 165536-231071 alice",
    });
  });

  test("a missing file is made first, since usermod refuses without it", () => {
    const delegated = { ranges: [], from: "/etc/subgid (no such file)" };
    const { text, fix } = only({ ids: { uid: uids(), gid: gids([], { file: undefined, delegated }) } });
    expect(text).toContain("/etc/subgid (no such file)");
    expect(fix).toBe("sudo touch /etc/subgid && sudo usermod --add-subgids 165536-231071 alice");
  });

  test("a user who is not in /etc/passwd is added to the files by uid, since usermod doesn't know such", () => {
    const none = { uid: uids([]), gid: gids([]) };
    expect(only({ localUser: false, ids: none }).fix).toBe(
      "echo 1001:100000:65536 | sudo tee -a /etc/subuid /etc/subgid",
    );
  });

  test("a directory service is where ranges are to be delegated, if nsswitch.conf says so", () => {
    const none = { uid: uids([]), gid: gids([]) };
    expect(only({ subidService: "sss", ids: none }).fix).toBe("ipa subid-generate --owner=alice");
    expect(only({ subidService: "ldap", ids: none }).fix).toContain("delegate 65536 ids in ldap");
  });

  test("fewer than 65536 ids is one warning for both kinds, with the command that adds as many", () => {
    const few = [{ start: 100000, length: 65535 }];
    expect(only({ ids: { uid: uids(few), gid: gids(few) } })).toMatchObject({
      severity: "warning",
      text: "alice (1001) has only 65535 subordinate uids in /etc/subuid and 65535 subordinate gids in /etc/subgid; images with ids up to 65535 will not unpack",
      fix: "sudo usermod --add-subuids 165535-231070 --add-subgids 165535-231070 alice",
    });
  });

  test("the own uid is nobody's free range", () => {
    const none = { uid: uids([]), gid: gids([]) };
    expect(only({ user: { name: "alice", uid: 100001, gid: 1001 }, ids: none }).fix).toContain("100002-165537");
  });

  test("a range outside the map of the namespace around is an error", () => {
    const nested = uids(plenty, { outer: parseIdMap("0 1001 1\n1 100000 65536") });
    expect(only({ ids: { uid: nested, gid: gids() } })).toMatchObject({
      severity: "error",
      code: "IDMAP_FAILED",
      text: "65536 of the 65536 subordinate uids of alice (1001) (100000-165535) do not exist in this user namespace, which has uids 0-0, 1-65536",
    });
  });

  test("a range partly outside it is a warning", () => {
    const nested = uids(plenty, { outer: parseIdMap("0 0 120000") });
    expect(only({ ids: { uid: nested, gid: gids() } }).severity).toBe("warning");
  });

  test("no command is offered where the namespace around has no room for a range", () => {
    const outer = parseIdMap("0 100000 65536");
    const none = { uid: uids([], { outer }), gid: gids([], { outer }) };
    expect(only({ ids: none }).fix).toContain("give the container that rlkit runs in more ids");
  });

  test("a map of more lines than the kernel takes is an error", () => {
    const crumbs = Array.from({ length: 400 }, (_, i) => ({ start: 100000 + 1000 * i, length: 500 }));
    expect(only({ ids: { uid: uids(crumbs), gid: gids() } })).toMatchObject({
      severity: "error",
      text: "the uid map of alice (1001) would have 401 lines; the kernel takes 340, in less than 4096 bytes",
    });
  });
});

test("paths are quoted for the shell where they need it", () => {
  expect(["/usr/bin/newuidmap", "/a b", "/it's"].map(shellWord)).toEqual([
    "/usr/bin/newuidmap",
    "'/a b'",
    "'/it'\\''s'",
  ]);
});
