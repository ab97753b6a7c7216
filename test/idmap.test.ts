import { stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { type Result, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

type Line = readonly [inside: number, outside: number, length: number];

async function run(user: User, ...argv: string[]): Promise<Result> {
  await using running = rlkit(user, argv);
  return await running.result();
}

/** The lines of three numbers in a text, by what stands before them: /proc/PID/uid_map's, or a table's of rlkit idmap. */
const mapLines = (text: string): Line[] =>
  [...text.matchAll(/^ *(\d+) +(\d+) +(\d+)$/gm)].map(([, ...numbers]) => numbers.map(Number) as unknown as Line);

/** The maps that a run has, as it sees them itself. */
async function mapsInside(user: User, ...options: string[]): Promise<{ uid: Line[]; gid: Line[] }> {
  const show = ["sh", "-c", "cat /proc/self/uid_map; echo; cat /proc/self/gid_map"];
  const { code, stdout, stderr } = await run(user, "run", "--net=none", ...options, "--", ...show);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining("rlkit: ") });
  const [uid = "", gid = ""] = stdout.split("\n\n");
  return { uid: mapLines(uid), gid: mapLines(gid) };
}

/** A user with the same ranges in both files. */
const userWith = (ranges: (user: { name: string; uid: number }) => string[]): Promise<User> =>
  testUser(undefined, { subids: (user) => ({ uid: ranges(user), gid: ranges(user) }) });

const own = ({ uid }: User): Line => [0, uid, 1];

describe("a user as in Docker's documentation of userns-remap", () => {
  const documented = () => userWith(({ name }) => [`${name}:5000:1`, `${name}:100000:65535`]);
  const remap: Line[] = [
    [0, 5000, 1],
    [1, 100000, 65535],
  ];

  test("rlkit idmap --remap prints dockerd's map", async () => {
    await using user = await documented();
    const { code, stdout } = await run(user, "idmap", "--remap");
    expect({ code, lines: mapLines(stdout) }).toEqual({ code: 0, lines: [...remap, ...remap] });
    expect(stdout).toContain(`uid map of ${user.name} (${user.uid}), from /etc/subuid\n`);
    expect(stdout).toContain(`gid map of ${user.name} (${user.uid}), from /etc/subgid\n`);
  });

  test("--uid-map and --gid-map make that map real: root is the first sub-id", async () => {
    await using user = await documented();
    const maps = ["0:5000:1", "1:100000:65535"].flatMap((map) => [`--uid-map=${map}`, `--gid-map=${map}`]);
    expect(await mapsInside(user, ...maps)).toEqual({ uid: remap, gid: remap });
    const { stdout } = await run(user, "run", "--net=none", ...maps, "--", "id");
    expect(stdout).toMatch(/^uid=0\(root\) gid=0\(root\)/);
    expect(await leftovers(user)).toEqual([]);
  });

  test("rlkit idmap prints the map that a run has", async () => {
    await using user = await documented();
    const expected: Line[] = [own(user), [1, 5000, 1], [2, 100000, 65535]];
    expect(mapLines((await run(user, "idmap")).stdout)).toEqual([...expected, ...expected]);
    expect(await mapsInside(user)).toEqual({ uid: expected, gid: expected });
  });

  test("--json is the same for programs", async () => {
    await using user = await documented();
    const asObject = ([inside, outside, length]: Line) => ({ inside, outside, length });
    const { stdout } = await run(user, "idmap", "--remap", "--json");
    expect(JSON.parse(stdout)).toEqual({
      user: user.name,
      uid: user.uid,
      gid: user.gid,
      maps: { uid: remap.map(asObject), gid: remap.map(asObject) },
      from: { uid: "/etc/subuid", gid: "/etc/subgid" },
    });
  });

  test("--user takes a name or a uid, from somebody else too", async () => {
    await using user = await documented();
    await using other = await testUser();
    for (const who of [user.name, String(user.uid)]) {
      const { stdout } = await run(other, "idmap", `--user=${who}`, "--remap");
      expect(mapLines(stdout), who).toEqual([...remap, ...remap]);
      expect(stdout).toContain(`${user.name} (${user.uid})`);
    }
  });
});

describe("a map of one's own", () => {
  test("of the own id alone works for a user without sub-ids", async () => {
    await using user = await userWith(() => []);
    const maps = await mapsInside(user, `--uid-map=0:${user.uid}:1`, `--gid-map=0:${user.gid}:1`);
    expect(maps).toEqual({ uid: [own(user)], gid: [own(user)] });
  });

  test("of somebody else's ids is refused with the ids that are possible", async () => {
    await using user = await userWith(({ name }) => [`${name}:700000:65536`]);
    const { code, stderr } = await run(user, "run", "--uid-map=0:700000:65537", "--gid-map=0:700000:65536", "--", "id");
    expect({ code, stderr }).toEqual({
      code: 125,
      stderr: expect.stringMatching(
        /^rlkit: --uid-map: 0:700000:65537: outside 700000-765536 is not delegated to this user. To do: .*700000-765535\n$/,
      ),
    });
    expect(await leftovers(user)).toEqual([]);
  });
});

describe("the delegated ranges, however they are written", () => {
  interface Case {
    title: string;
    ranges: (user: { name: string; uid: number }) => string[];
    /** The lines after the user's own. */
    map: (user: User) => Line[];
  }

  const cases: Case[] = [
    {
      title: "several, in their order",
      ranges: ({ name }) => [`${name}:300000:1000`, `${name}:100000:65536`, `${name}:200000:10`],
      map: () => [
        [1, 300000, 1000],
        [1001, 100000, 65536],
        [66537, 200000, 10],
      ],
    },
    {
      title: "under the uid and not the name",
      ranges: ({ uid }) => [`${uid}:700000:65536`],
      map: () => [[1, 700000, 65536]],
    },
    {
      title: "twice, by name and by uid",
      ranges: ({ name, uid }) => [`${name}:700000:65536`, `${uid}:700000:65536`],
      map: () => [[1, 700000, 65536]],
    },
    {
      title: "overlapping",
      ranges: ({ name }) => [`${name}:700000:65536`, `${name}:750000:65536`],
      map: () => [
        [1, 700000, 65536],
        [65537, 765536, 50000],
      ],
    },
    {
      title: "with the user's own id as a line",
      ranges: ({ name, uid }) => [`${name}:${uid}:1`, `${name}:700000:65536`],
      map: () => [[1, 700000, 65536]],
    },
    {
      title: "around the user's own id",
      ranges: ({ name, uid }) => [`${name}:${uid - 2}:5`, `${name}:700000:65536`],
      map: ({ uid }) => [
        [1, uid - 2, 2],
        [3, uid + 1, 2],
        [5, 700000, 65536],
      ],
    },
    {
      title: "below a comment",
      ranges: ({ name }) => [`# of ${name}`, `${name}:700000:65536`],
      map: () => [[1, 700000, 65536]],
    },
  ];

  test.each(cases)("$title", async ({ ranges, map }) => {
    await using user = await userWith(ranges);
    const expected = [own(user), ...map(user)];
    expect(await mapsInside(user)).toEqual({ uid: expected, gid: expected });
    expect(mapLines((await run(user, "idmap")).stdout)).toEqual([...expected, ...expected]);
  });

  test("the mapped ids are usable inside, and are the delegated ones outside", async () => {
    await using user = await userWith(({ name }) => [`${name}:700000:65536`]);
    const script = "touch mapped && chown 1:65536 mapped && stat -c %u:%g mapped";
    expect(await run(user, "run", "--net=none", "--", "sh", "-c", script)).toMatchObject({
      code: 0,
      stdout: "1:65536\n",
      stderr: "",
    });
    expect((await run(user, "run", "--net=host", "--", "stat", "-c", "%u", user.home)).stdout).toBe("0\n");
    const { uid, gid } = await stat(join(user.home, "mapped"));
    expect({ uid, gid }).toEqual({ uid: 700000, gid: 765535 });
  });

  test("different ranges for uids and gids", async () => {
    await using user = await testUser(undefined, {
      subids: ({ name }) => ({ uid: [`${name}:700000:65536`], gid: [`${name}:800000:65536`] }),
    });
    expect(await mapsInside(user)).toEqual({
      uid: [own(user), [1, 700000, 65536]],
      gid: [own(user), [1, 800000, 65536]],
    });
  });
});
