import { existsSync } from "node:fs";
import { chown, mkdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT, rlkit, start, tree } from "./helpers/run.ts";
import { messages } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";

/** Where this machine has cgroup version 2; "" if it doesn't. */
const cgroup2 = await readFile("/proc/self/mountinfo", "utf8").then(
  (text) => /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(text)?.[1] ?? "",
);

let user: User;
/** A group that is delegated to the user (cgroups(7)). */
let group: string;

beforeAll(async () => {
  user = await testUser();
  group = join(cgroup2, user.name);
  if (cgroup2 === "") return;
  await mkdir(group);
  for (const name of ["", "cgroup.procs", "cgroup.subtree_control"]) await chown(join(group, name), user.uid, user.gid);
});

afterAll(async () => {
  if (cgroup2 !== "") {
    if (existsSync(join(group, "evac"))) await rmdir(join(group, "evac"));
    await rmdir(group);
  }
  await user?.[Symbol.asyncDispose]();
});

/** What a command writes that is started, as the user, in the delegated group. */
async function inGroup(...command: string[]): Promise<string> {
  const enter = `echo $$ >${group}/cgroup.procs && exec setpriv --reuid=${user.uid} --regid=${user.gid} --init-groups "$@"`;
  const env = { HOME: user.home, XDG_RUNTIME_DIR: user.runtimeDir };
  await using run = start(ROOT, ["bash", "-c", enter, "bash", ...command], { env, cwd: user.home });
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout;
}

const bin = (name: string): string => join(tree(), "bin", name);

test.skipIf(cgroup2 === "").each([
  ["rlkit run", "--net=slirp4netns"],
  ["rlkit run", "--net=host"],
  ["rootlesskit", "--net=none"],
])("%s %s: the processes move, and the command sees its group as /evac of a tree of its own", async (program, net) => {
  const [name = "", ...words] = program.split(" ");
  const options = [net, "--pidns", "--cgroupns", "--evacuate-cgroup2=evac"];
  const script = `grep ^0:: /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs | wc -l; test -d /sys/fs/cgroup/evac; echo $?`;
  expect(await inGroup(bin(name), ...words, ...options, "bash", "-c", script)).toBe("0::/evac\n0\n0\n");
});

test.skipIf(cgroup2 === "")(
  "a group that is not the user's: a warning that says what to do, and the command runs",
  async () => {
    const options = ["--net=none", "--pidns", "--cgroupns", "--evacuate-cgroup2=evac"];
    await using run = rlkit(user, ["run", ...options, "--", "echo", "here"]);
    const { code, stdout, stderr } = await run.result();
    expect([code, stdout]).toEqual([0, "here\n"]);
    expect(messages(run, "warn")).toEqual([
      expect.stringMatching(/^--evacuate-cgroup2=evac: cannot make .*evac: EACCES/),
    ]);
    expect(stderr).toContain("systemd-run --user --scope -p Delegate=yes");
  },
);
