import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { type Result, ROOT, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

type Line = readonly [inside: number, outside: number, length: number];

async function run(user: User, ...argv: string[]): Promise<Result> {
  await using running = rlkit(user, argv);
  return await running.result();
}

/** The lines of three numbers in a text: /proc/PID/uid_map's, or those of rlkit remap show. */
const mapLines = (text: string): Line[] =>
  [...text.matchAll(/^ *(\d+) +(\d+) +(\d+)$/gm)].map(([, ...numbers]) => numbers.map(Number) as unknown as Line);

/** A user with different ranges in the two files, and lines for the group of its name in a place where dockerd looks no more. */
const remapped = (): Promise<User> =>
  testUser(undefined, {
    subids: ({ name }) => ({
      uid: [`${name}:790000:1000`, `${name}:700000:65536`],
      gid: [`${name}:800000:65536`, "games:900000:65536"],
    }),
  });

const uidMap: Line[] = [
  [0, 790000, 1000],
  [1000, 700000, 65536],
];
const gidMap: Line[] = [[0, 800000, 65536]];

describe("rlkit remap show", () => {
  test("prints the map of containers, for each way to write the user, to anybody", async () => {
    await using other = await testUser(); // first: useradd(8) sorts the lines of both files
    await using user = await remapped();
    for (const spec of [user.name, `${user.uid}`, `${user.name}:games`, `${user.uid}:${user.gid}`]) {
      const { code, stdout, stderr } = await run(other, "remap", "show", spec);
      expect({ code, stderr, lines: mapLines(stdout) }).toEqual({ code: 0, stderr: "", lines: [...uidMap, ...gidMap] });
      expect(stdout).toContain(`uid map of ${user.name} (${user.uid}), from /etc/subuid\n`);
      expect(stdout).toContain(`gid map of ${user.name} (${user.uid}), from /etc/subgid\n`);
    }
  });

  test("--json is the same for programs", async () => {
    await using user = await remapped();
    const asObject = ([inside, outside, length]: Line) => ({ inside, outside, length });
    const { stdout } = await run(user, "remap", "show", `${user.name}:games`, "--json");
    expect(JSON.parse(stdout)).toEqual({
      user: user.name,
      uid: user.uid,
      gid: user.gid,
      group: "games",
      maps: { uid: uidMap.map(asObject), gid: gidMap.map(asObject) },
      from: { uid: "/etc/subuid", gid: "/etc/subgid" },
    });
  });

  test.each([
    ["default", /^rlkit: there is no user dockremap\. To do: dockerd makes it .*\n$/],
    ["no-such-user", /^rlkit: there is no user no-such-user\. To do: make it: .*\n$/],
    ["games:no-such-group", /^rlkit: there is no group no-such-group, which dockerd wants\. .*\n$/],
    ["games", /^rlkit: games \(5\) has no subordinate uids in \/etc\/subuid\. .*\n$/],
  ])("%s: one line says why there is no map", async (spec, line) => {
    await using user = await testUser();
    const { code, stdout, stderr } = await run(user, "remap", "show", spec);
    expect({ code, stdout }).toEqual({ code: expect.toBeOneOf([2, 125]), stdout: "" });
    expect(stderr).toMatch(line);
  });
});

describe("rlkit run --map=remap:USER", () => {
  const show = ["sh", "-c", "id -u; cat /proc/self/uid_map; echo; cat /proc/self/gid_map"];
  const real = [...uidMap, ...gidMap];

  test("has exactly the map that rlkit remap show shows", async () => {
    await using user = await remapped();
    const { code, stdout, stderr } = await run(user, "run", "--net=none", `--map=remap:${user.name}`, "--", ...show);
    expect({ code, stderr, lines: mapLines(stdout) }).toEqual({ code: 0, stderr: "", lines: real });
    expect(stdout).toMatch(/^0\n/);
    expect(mapLines((await run(user, "remap", "show", user.name)).stdout)).toEqual(real);
    expect(await leftovers(user)).toEqual([]);
  });

  test("root may have anybody's", async () => {
    await using user = await remapped();
    const options = ["--net=none", "--log-level=error", `--map=remap:${user.uid}:games`];
    const { code, stdout, stderr } = await run(ROOT, "run", ...options, "--", ...show);
    expect({ code, stderr, lines: mapLines(stdout) }).toEqual({ code: 0, stderr: "", lines: real });
  });

  test("somebody else is told in one line which range is not theirs", async () => {
    await using other = await testUser();
    await using user = await remapped();
    for (const command of ["run", "plan"]) {
      const { code, stdout, stderr } = await run(other, command, `--map=remap:${user.name}`, "--", "id");
      expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
      const line = `--map=remap:${user.name}: uids 790000-790999 of /etc/subuid are not delegated to ${other.name}`;
      expect(stderr).toMatch(new RegExp(`^rlkit: ${line} \\(${other.uid}\\)\\. To do: .*\n$`));
    }
    expect(await leftovers(other)).toEqual([]);
  });

  test("a user who has the ranges as well may have the map", async () => {
    await using user = await remapped();
    await using other = await testUser(undefined, {
      subids: ({ name }) => ({
        uid: [`${name}:790000:1000`, `${name}:690000:90000`],
        gid: [`${name}:800000:65536`],
      }),
    });
    const { code, stdout } = await run(other, "run", "--net=none", `--map=remap:${user.name}`, "--", ...show);
    expect({ code, lines: mapLines(stdout) }).toEqual({ code: 0, lines: real });
  });

  test("rlkit plan shows the maps", async () => {
    await using user = await remapped();
    const { stdout } = await run(user, "plan", "--json", `--map=remap:${user.name}`, "--", "id");
    const what = "newuidmap 0:790000:1000 1000:700000:65536; newgidmap 0:800000:65536";
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ do: "write-id-maps", what }));
  });
});
