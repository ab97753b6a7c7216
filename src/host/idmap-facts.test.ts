import { describe, expect, test } from "vitest";
import { currentUser, gatherIdMapFacts, nosuidMounts } from "./idmap-facts.ts";

describe("nosuidMounts", () => {
  const mountinfo = [
    "22 27 0:21 / /proc rw,nosuid,nodev - proc proc rw",
    "27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,nosuid",
    "31 27 0:30 / /mnt/my\\040tools rw,relatime,nosuid - tmpfs tmpfs rw",
    "",
  ].join("\n");

  test("finds the mounts that are nosuid themselves, and decodes their paths", () => {
    expect(nosuidMounts(mountinfo)).toEqual([
      { id: "22", point: "/proc" },
      { id: "31", point: "/mnt/my tools" },
    ]);
  });
});

test("the facts of a user with ranges are gathered without starting a program", () => {
  const files: Record<string, string> = {
    "/proc/self/mountinfo": "",
    "/proc/self/status": "Name:\tnode\nNoNewPrivs:\t1\nSeccomp:\t0\n",
    "/proc/self/uid_map": "0 0 4294967295\n",
    "/proc/self/gid_map": "0 0 4294967295\n",
    "/etc/subuid": "alice:100000:65536\n",
    "/etc/subgid": "1001:200000:65536\n",
    "/etc/passwd": "root:x:0:0:::\nalice:x:1001:1001:::\n",
  };
  const io = {
    env: { PATH: "/nonexistent" },
    readFile(path: string): string {
      return files[path] ?? fail(path);
    },
    run: (argv: readonly string[]) => expect.unreachable(argv.join(" ")),
  };
  const fail = (path: string): never => {
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  expect(gatherIdMapFacts("auto", io, { name: "alice", uid: 1001, gid: 1001 })).toMatchObject({
    localUser: true,
    subidService: undefined,
    noNewPrivs: true,
    path: "/nonexistent",
    newuidmap: undefined,
    ids: {
      uid: { delegated: { ranges: [{ start: 100000, length: 65536 }] }, outer: [{ length: 4294967295 }] },
      gid: { delegated: { ranges: [{ start: 200000, length: 65536 }] }, file: "1001:200000:65536\n" },
    },
  });
});

test("the current user is who this process runs as, whatever $USER says", () => {
  const before = process.env.USER;
  process.env.USER = "somebody-else";
  try {
    expect(currentUser()).toMatchObject({ uid: process.getuid?.() });
    expect(currentUser().name).not.toBe("somebody-else");
  } finally {
    if (before === undefined) delete process.env.USER;
    else process.env.USER = before;
  }
});
