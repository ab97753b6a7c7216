import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { leftovers } from "./helpers/left.ts";
import { type Result, ROOT, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

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

  test.each([[[]], [["--copy-up=/etc"]]])("%j: it has its network's name server and hosts", async (options) => {
    await using user = await remapped();
    const script = "cat /etc/resolv.conf /etc/hosts; stat -f -c %T /tmp";
    const words = ["run", "--net=slirp4netns", ...options, `--map=remap:${user.name}`, "--", "sh", "-c", script];
    const { code, stdout, stderr } = await run(user, ...words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining("could not") });
    expect(stdout).toMatch(/^nameserver 10\.0\.2\.3\n/);
    expect(stdout).toContain(`\n127.0.0.1 ${hostname()}\n`);
    const { stdout: outside } = await promisify(execFile)("stat", ["-f", "-c", "%T", "/tmp"]);
    expect(stdout.endsWith(`\n${outside}`)).toBe(true);
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

  test.each([[[]], [["--instance=ci"]], [["--pidns"]]])(
    "%j: it is found, entered and stopped by who started it, and nobody else",
    async (options) => {
      await using other = await testUser(); // first: useradd(8) sorts the lines of both files
      await using user = await remapped();
      const sleep = ["sh", "-c", "echo ready; exec sleep 60"];
      await using running = rlkit(user, ["run", "--net=none", ...options, `--map=remap:${user.name}`, "--", ...sleep]);
      await until(() => running.stdout.includes("ready"), { what: running.stderr });
      const named = options.filter((option) => option.startsWith("--instance"));
      const inside = await run(user, "exec", ...named, "--", ...show);
      expect({ code: inside.code, lines: mapLines(inside.stdout) }).toEqual({ code: 0, lines: real });
      expect((await run(user, "status", ...named)).stdout).toContain("target     sh (pid ");
      const none = await run(user, "status", "--instance=web");
      expect(none.stderr).toContain("no instance web is running");
      expect((await run(other, "exec", "--", "id")).stderr).toContain("nothing of this user's is running");
      expect(await run(user, "stop", ...named)).toMatchObject({ code: 0 });
      await running.result();
      expect(await leftovers(user)).toEqual([]);
    },
  );

  test("rlkit plan shows the maps", async () => {
    await using user = await remapped();
    const { stdout } = await run(user, "plan", "--json", `--map=remap:${user.name}`, "--", "id");
    const what = "newuidmap 0:790000:1000 1000:700000:65536; newgidmap 0:800000:65536";
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ do: "write-id-maps", what }));
  });
});

interface Report {
  ok: boolean;
  checks: { id: string; verdict: string; found: string }[];
  root: string[];
  limits: { what: string; why: string; instead: string }[];
}

/** A daemon.json in a directory of its own, which is removed with everything below it. */
async function daemonJson(config: object) {
  const directory = await mkdtemp(join(tmpdir(), "rlkit-remap-"));
  const file = join(directory, "daemon.json");
  await writeFile(file, JSON.stringify(config));
  return { directory, file, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

describe("rlkit remap check", () => {
  test("takes the user from daemon.json; nothing is wrong where all is in order", async () => {
    await using user = await remapped();
    await using config = await daemonJson({ "userns-remap": user.name });
    const words = ["remap", "check", `--config=${config.file}`];
    const { code, stdout, stderr } = await run(ROOT, ...words, "--json");
    const { checks, ok, limits }: Report = JSON.parse(stdout);
    expect(checks.filter(({ verdict }) => verdict === "failure")).toEqual([]);
    expect({ code, ok, stderr }).toEqual({ code: 0, ok: true, stderr: "" });
    expect(checks.find(({ id }) => id === "data-root")?.found).toContain("790000.800000");
    expect(limits.map(({ what }) => what)).toContain("docker run --privileged");
    const text = await run(ROOT, ...words);
    expect(text.stdout).toMatch(/^✓ userns-remap .*\n(.*\n)*What does not work in containers with it:\n/);
    expect(text.stdout).toMatch(/\nA dockerd with this userns-remap can run here: 0 failures, .*\n$/);
  });

  test("of a user without ranges fails, and says which lines are missing", async () => {
    await using user = await testUser(undefined, { subids: () => ({ uid: [], gid: [] }) });
    const { code, stdout } = await run(user, "remap", "check", user.name, "--json");
    const { ok, root }: Report = JSON.parse(stdout);
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    const line = `echo ${user.name}:\\d+:65536 >> /etc/sub`;
    expect(root.join("\n")).toMatch(new RegExp(`^${line}uid\\n${line}gid$`, "m"));
  });

  test("whatever it prints for root makes it green, and dockerd itself then uses the directory that it tells", async () => {
    await using config = await daemonJson({});
    // The machine's /etc stays as it is: all of this sees a copy.
    const script = `set -eu
      cd ${config.directory}
      chmod 0711 .
      cp -a /etc etc && mount --bind etc /etc
      mkdir -p /etc/docker && rm -f /etc/docker/daemon.json
      rlkit=${join(tree(), "bin", "rlkit")}
      $rlkit remap check rlt-remapped >before && exit 1
      sed -n "/^sudo sh -eux <<'EOF'$/,/^EOF$/p" before | sed '1d;$d' >block
      sh -eu block
      $rlkit remap check >after
      $rlkit remap show rlt-remapped --json >shown
      dockerd --data-root=$PWD/root --exec-root=$PWD/exec --pidfile=$PWD/pid --host=unix://$PWD/sock \
        --bridge=none --iptables=false --storage-driver=vfs >log 2>&1 &
      until [ -S sock ] || ! kill -0 $!; do sleep 0.05; done
      docker --host=unix://$PWD/sock info --format '{{.DockerRootDir}}' || { cat log; exit 2; }
      kill $!
      wait $! || true
      cat shown`;
    await using machine = start(ROOT, ["unshare", "--mount", "--propagation=private", "sh", "-c", script]);
    const { code, stdout, stderr } = await machine.result(30_000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining("rlkit: ") });
    const [directory = "", ...shown] = stdout.split("\n");
    const { maps } = JSON.parse(shown.join("\n"));
    const first = [maps.uid[0].outside, maps.gid[0].outside];
    expect(directory).toBe(join(config.directory, "root", first.join(".")));
    expect(maps.uid[0].length).toBe(65536);
  });

  test("takes one user, and a value that is one", async () => {
    await using user = await testUser();
    expect(await run(user, "remap", "check", "a", "b")).toMatchObject({ code: 2, stdout: "" });
    const { code, stderr } = await run(user, "remap", "check", "a:b:c");
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/^rlkit: "a:b:c" is no value .*\n$/) });
  });
});
