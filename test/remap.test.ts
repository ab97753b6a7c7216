import { describe, expect, test } from "vitest";
import { type Result, rlkit } from "./helpers/run.ts";
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
