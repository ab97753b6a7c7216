import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

/** What a target writes that was given so many descriptors, as a service manager does. */
async function activated(
  program: string,
  options: string,
  { fds, pid = "$$", script }: { fds: number; pid?: string; script: string },
): Promise<string[]> {
  const open = Array.from({ length: fds }, (_, i) => `exec ${3 + i}<<<"socket ${3 + i}"`).join("; ");
  const variables = `LISTEN_FDS=${fds} LISTEN_PID=${pid} LISTEN_FDNAMES=a:b`;
  const command = `${open}; export ${variables}; exec ${join(tree(), "bin", program)} ${options} bash -c "$1"`;
  await using run = start(user, ["bash", "-c", command, "bash", script]);
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout.trim().split("\n");
}

const programs = [
  ["rlkit", "run --net=none --"],
  ["rlkit", "run --net=none --pidns --"],
  ["rootlesskit", ""],
  ["rootlesskit", "--pidns"],
  ["rootlesskit", "--net=slirp4netns --port-driver=builtin --disable-host-loopback"],
] as const;

test.each(programs.flatMap((each) => [1, 2, 3].map((fds) => [...each, fds] as const)))(
  "%s %s: %i sockets arrive at the same numbers, and LISTEN_PID is the command's own",
  async (program, options, fds) => {
    const numbers = Array.from({ length: fds }, (_, i) => 3 + i);
    const script = [
      '[ "$LISTEN_PID" = $$ ] && echo "mine $LISTEN_FDS $LISTEN_FDNAMES"',
      ...numbers.map((fd) => `cat <&${fd}`),
      "ls -v --ignore=255 --format=commas /proc/$$/fd; :", // 255 is bash's own; the colon keeps it from becoming ls
    ].join("; ");
    expect(await activated(program, options, { fds, script })).toEqual([
      `mine ${fds} a:b`,
      ...numbers.map((fd) => `socket ${fd}`),
      [0, 1, 2, ...numbers].join(", "),
    ]);
  },
);

test("sockets for another process are passed on with what was said about them", async () => {
  const script = "echo $LISTEN_PID; cat <&3";
  expect(await activated("rlkit", "run --net=none --", { fds: 1, pid: "1", script })).toEqual(["1", "socket 3"]);
});

test("--wait does not go with them", async () => {
  const script = `exec 3<<<x; LISTEN_FDS=1 LISTEN_PID=1 exec ${join(tree(), "bin", "rlkit")} run --wait --net=none -- true`;
  await using run = start(user, ["bash", "-c", script]);
  expect(await run.result()).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--wait does not go with sockets"),
  });
});

test("sockets that are announced, and not there", async () => {
  const env = { LISTEN_FDS: "2", LISTEN_PID: "1" };
  await using run = start(user, [join(tree(), "bin", "rlkit"), "run", "--net=none", "--", "true"], { env });
  expect(await run.result()).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/LISTEN_FDS=2: descriptor 3 is not open/),
  });
});

test("more sockets than can be passed on are refused", async () => {
  const env = { LISTEN_FDS: "10", LISTEN_PID: "1" };
  await using run = start(user, [join(tree(), "bin", "rlkit"), "run", "--net=none", "--", "true"], { env });
  expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining("at most 9 sockets") });
});
