import { describe, expect, test } from "vitest";
import { type MadeUp, madeUpMachine } from "../check/made-up-machine.ts";
import { printCheck, rootLines } from "../check/print.ts";
import type { Checked } from "../check/requirement.ts";
import { checkRemap } from "./check.ts";
import { limitsText } from "./limits.ts";

const FILE = "/etc/docker/daemon.json";
const PASSWD =
  "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\nbob:x:1002:1002::/home/bob:/bin/sh\n";
const ALICE = "alice:100000:65536\n";

/** A machine on which a dockerd with the map of alice can run, changed in some. */
const good: MadeUp = {
  missing: ["getent"],
  files: {
    [FILE]: '{"userns-remap": "alice"}\n',
    "/etc/passwd": PASSWD,
    "/etc/group": "root:x:0:\nalice:x:1001:\nbob:x:1002:\n",
    "/etc/subuid": ALICE,
    "/etc/subgid": ALICE,
  },
  statuses: {
    "/etc/docker": [0, 0o755],
    "/proc/self/ns/user": [0, 0o777],
    "/var/lib/docker": [0, 0o710, 100000],
    "/var/lib": [0, 0o755],
    "/var": [0, 0o755],
  },
};

function asked(changed: MadeUp = {}, given?: string): Promise<Checked[]> {
  const machine = {
    ...good,
    ...changed,
    files: { ...good.files, ...changed.files },
    statuses: { ...good.statuses, ...changed.statuses },
  };
  return checkRemap({ file: FILE, given }, madeUpMachine(machine));
}

const subids = (uids: string, gids = uids): MadeUp => ({ files: { "/etc/subuid": uids, "/etc/subgid": gids } });

/** The only results that are not as they should be. */
const wrong = (results: readonly Checked[]) =>
  results
    .filter(({ verdict }) => verdict === "failure" || verdict === "warning")
    .map(({ id, verdict, found }) => ({ id, verdict, found }));

const notes = (results: readonly Checked[]) => results.flatMap(({ fix }) => fix.map(({ note }) => note));

test("on a machine that is ready nothing is wrong, and the directory is told", async () => {
  const results = await asked();
  expect(wrong(results)).toEqual([]);
  expect(results.map(({ id, found }) => [id, found])).toEqual([
    ["userns-remap", "it is alice"],
    ["user-namespaces", "the kernel has them"],
    ["user", "alice (1001)"],
    ["group", "alice; only before Docker 20.10 its lines of /etc/subgid count"],
    ["subid-files", "every line is one"],
    ["subids", "65536 uids and 65536 gids; root in containers is uid 100000, gid 100000"],
    ["sharing", "nobody else has its ids"],
    ["data-root", "dockerd will make /var/lib/docker/100000.100000, for root and gid 100000, mode 0710"],
    ["dockerd", "no dockerd runs; it reads all of this when it starts"],
  ]);
});

interface Cause {
  title: string;
  machine: MadeUp;
  given?: string;
  id: string;
  verdict?: "warning";
  found: string | RegExp;
  lines?: string[];
}

const causes: Cause[] = [
  {
    title: "a daemon.json without it",
    machine: { files: { [FILE]: '{"log-driver": "local"}' } },
    id: "userns-remap",
    found: /sets no userns-remap: root in containers is root of this machine$/,
    lines: [`printf '%s\\n' '{\n  "log-driver": "local",\n  "userns-remap": "default"\n}' > ${FILE}`],
  },
  {
    title: "no daemon.json, and none of its directory",
    machine: { files: { [FILE]: undefined }, statuses: { "/etc/docker": undefined } },
    given: "alice",
    id: "userns-remap",
    verdict: "warning",
    found: /is not set: dockerd does not take the map of alice from it$/,
    lines: ["mkdir -p /etc/docker", `printf '%s\\n' '{\n  "userns-remap": "alice"\n}' > ${FILE}`],
  },
  {
    title: "a daemon.json that is no JSON",
    machine: { files: { [FILE]: "{" } },
    id: "userns-remap",
    found: /dockerd does not start$/,
  },
  {
    title: "a value that is none",
    machine: { files: { [FILE]: '{"userns-remap": "alice:"}' } },
    id: "userns-remap",
    found: `${FILE}: "alice:" is no value of userns-remap; dockerd does not start`,
  },
  {
    title: "a number for a value",
    machine: { files: { [FILE]: '{"userns-remap": 1001}' } },
    id: "userns-remap",
    found: /userns-remap is not a string; dockerd does not start$/,
  },
  {
    title: "a daemon.json that only root may read",
    machine: { files: { [FILE]: undefined }, statuses: { [FILE]: [0, 0o600] } },
    id: "userns-remap",
    found: `${FILE}: this user may not read it`,
  },
  {
    title: "no user of that name",
    machine: { files: { "/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/etc/subuid": "", "/etc/subgid": ALICE } },
    id: "user",
    found: "there is no user alice; dockerd does not start",
    lines: [
      "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin alice",
      "echo alice:165536:65536 >> /etc/subuid",
    ],
  },
  {
    title: "root",
    machine: { files: { [FILE]: '{"userns-remap": "root"}' } },
    id: "user",
    found: "root can't be remapped with itself: dockerd runs containers without a map then",
  },
  {
    title: "no dockremap and nothing to make it with",
    machine: { files: { [FILE]: '{"userns-remap": "default"}' }, missing: ["getent", "useradd", "adduser"] },
    id: "user",
    found: /^there is no user dockremap, and neither adduser nor useradd/,
  },
  {
    title: "no group of the user's name",
    machine: { files: { "/etc/group": "root:x:0:\n" } },
    id: "group",
    found: "there is no group alice, which dockerd wants",
    lines: ["groupadd alice"],
  },
  {
    title: "no ranges",
    machine: subids("bob:100000:65536\n"),
    id: "subids",
    found: "alice (1001) has no subordinate uids in /etc/subuid, and no gids in /etc/subgid",
    lines: ["echo alice:165536:65536 >> /etc/subuid", "echo alice:165536:65536 >> /etc/subgid"],
  },
  {
    title: "the gids with the group and not with the user",
    machine: subids(ALICE, "staff:100000:65536\n"),
    id: "subids",
    found: "alice (1001) has no subordinate gids in /etc/subgid",
    lines: ["echo alice:165536:65536 >> /etc/subgid"],
  },
  {
    title: "too few",
    machine: subids("alice:100000:1000\n", ALICE),
    id: "subids",
    found: "alice (1001) has only 1000 subordinate uids in /etc/subuid; images with ids up to 65535 will not unpack",
    lines: ["echo alice:165536:65536 >> /etc/subuid"],
  },
  {
    title: "ids that do not exist in this container",
    machine: { files: { "/proc/self/uid_map": "0 0 65536\n" } },
    id: "subids",
    found: /^65536 of the 65536 subordinate uids of alice \(1001\) \(100000-165535\) do not exist/,
  },
  {
    title: "ranges that overlap",
    machine: subids(`${ALICE}alice:165535:10\n`, ALICE),
    id: "subids",
    found: /^\/etc\/subuid lines 1 and 2 both give uids 165535-165535 to alice \(1001\): no container starts/,
  },
  {
    title: "a malformed line",
    machine: subids("alice:100000\n", ALICE),
    id: "subid-files",
    found: '/etc/subuid line 1: "alice:100000": it has 2 fields',
  },
  {
    title: "somebody else's malformed line",
    machine: subids(`${ALICE}bob:1\n`, ALICE),
    id: "subid-files",
    verdict: "warning",
    found: '/etc/subuid line 2: "bob:1": it has 2 fields; dockerd before 28 does not start with it, whosever it is',
  },
  {
    title: "lines by name and by uid",
    machine: subids(`${ALICE}1001:200000:65536\n`, ALICE),
    id: "subid-files",
    verdict: "warning",
    found: /^\/etc\/subuid has lines of alice and of 1001: dockerd 20.10 to 27 takes those of 1001 alone/,
  },
  {
    title: "ids of another user's range",
    machine: subids(`bob:165535:65536\n${ALICE}`, ALICE),
    id: "sharing",
    verdict: "warning",
    found: /^uids 165535-165535 are bob's too \(line 1 of \/etc\/subuid\): containers have their files/,
  },
  {
    title: "ids of users",
    machine: subids("alice:1000:65536\n", ALICE),
    id: "sharing",
    verdict: "warning",
    found: /^uid 1002 is bob's own: /,
  },
  {
    title: "the real root",
    machine: subids(ALICE, "alice:0:65536\n"),
    id: "sharing",
    found: /^gid 0, the real root's, is among them; .*containers have root's files and processes$/,
  },
  {
    title: "no user namespaces",
    machine: { files: { "/proc/sys/user/max_user_namespaces": "0\n" } },
    id: "user-namespaces",
    found: "user.max_user_namespaces is 0: no container starts",
    lines: ["echo user.max_user_namespaces=28633 > /etc/sysctl.d/60-userns-remap.conf", "sysctl --system"],
  },
  {
    title: "a kernel without them",
    machine: { statuses: { "/proc/self/ns/user": undefined } },
    id: "user-namespaces",
    found: "this kernel has no user namespaces: dockerd does not start",
  },
  {
    title: "a data root in a closed directory",
    machine: {
      files: { [FILE]: '{"userns-remap": "alice", "data-root": "/srv/private/docker"}' },
      statuses: { "/srv/private": [0, 0o750] },
    },
    id: "data-root",
    found: "/srv/private does not let uid 100000 through to /srv/private/docker/100000.100000: dockerd does not start",
    lines: ["chmod o+x /srv/private"],
  },
  {
    title: "images of before",
    machine: { statuses: { "/var/lib/docker/overlay2": [0, 0o710] } },
    id: "data-root",
    verdict: "warning",
    found: /what is in \/var\/lib\/docker now \(images, containers, volumes\) is not seen with the map/,
  },
];

test.each(causes)("$title: one thing is wrong, and what it says mends it", async ({ machine, given, ...cause }) => {
  const results = await asked(machine, given);
  const found = typeof cause.found === "string" ? cause.found : expect.stringMatching(cause.found);
  expect(wrong(results)).toEqual([{ id: cause.id, verdict: cause.verdict ?? "failure", found }]);
  expect(rootLines(results)).toEqual(cause.lines ?? []);
});

describe("a user given in words", () => {
  test("is checked in place of daemon.json's, which is told", async () => {
    const results = await asked(subids("alice:1:1\nbob:300000:65536\n"), "bob");
    expect(wrong(results)).toEqual([
      {
        id: "userns-remap",
        verdict: "warning",
        found: `userns-remap in ${FILE} is alice: dockerd does not take the map of bob from it`,
      },
    ]);
    expect(results.find(({ id }) => id === "data-root")?.found).toContain("/var/lib/docker/300000.300000");
  });

  test("is no word for the shell", async () => {
    const results = await asked({}, "x;reboot");
    expect(rootLines(results)).toContain("echo 'x;reboot':165536:65536 >> /etc/subuid");
    expect(rootLines(results)).toContain(
      "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin 'x;reboot'",
    );
  });

  test("that is no value of userns-remap is an error of use", async () => {
    await expect(asked({}, "a:b:c")).rejects.toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});

test("dockremap and its ranges are dockerd's to make", async () => {
  const results = await asked({ files: { [FILE]: '{"userns-remap": "default"}' } });
  expect(wrong(results)).toEqual([]);
  expect(results.find(({ id }) => id === "user")?.found).toBe("dockerd makes dockremap and its ranges when it starts");
});

test("the line that is to be written in place of shared ids has ids of nobody", async () => {
  const results = await asked(subids(`bob:165535:65536\n${ALICE}`, ALICE));
  expect(notes(results)).toContain(
    "write line 2 of /etc/subuid anew, as alice:231071:65536; files of containers that there are keep their owners",
  );
});

test("the user's own id among its ranges is meant", async () => {
  expect(wrong(await asked(subids(`alice:1001:1\n${ALICE}`)))).toEqual([]);
});

test("a directory that is there has no images left behind", async () => {
  const statuses: MadeUp["statuses"] = {
    "/var/lib/docker/overlay2": [0, 0o710],
    "/var/lib/docker/100000.100000": [0, 0o710, 100000],
  };
  const results = await asked({ statuses });
  expect(wrong(results)).toEqual([]);
  expect(results.find(({ id }) => id === "data-root")?.found).toMatch(
    /^dockerd uses \/var\/lib\/docker\/100000.100000/,
  );
});

describe("a dockerd that runs", () => {
  const running = (answer: MadeUp["answers"], changed: MadeUp = {}): MadeUp => ({
    ...changed,
    answers: answer ?? {},
    files: { "/var/run/docker.pid": "77\n", ...changed.files },
    statuses: { "/proc/77": [0, 0o555], ...changed.statuses },
  });
  const says = (output: string, status = 0): MadeUp["answers"] => ({ "docker --host": { status, output } });

  test("is to be started anew after changes, last of all", async () => {
    const results = await asked(running(says("/var/lib/docker\n"), subids("", ALICE)));
    expect(wrong(results).map(({ id }) => id)).toEqual(["subids", "dockerd"]);
    expect(rootLines(results)).toEqual(["echo alice:165536:65536 >> /etc/subuid", "systemctl restart docker"]);
  });

  test("is to be started anew where it has another map", async () => {
    const results = await asked(running(says("/var/lib/docker\n")));
    expect(wrong(results)).toEqual([
      {
        id: "dockerd",
        verdict: "warning",
        found: "dockerd (77) was started with another map: it uses /var/lib/docker",
      },
    ]);
    const without = await asked(running(says("/\n"), { statuses: { "/run/systemd/system": undefined } }));
    expect(notes(without)).toContain("start dockerd anew");
  });

  test("that has this map is as it should be; one that does not answer tells nothing", async () => {
    const last = async (answer: MadeUp["answers"]) => (await asked(running(answer))).at(-1);
    expect(await last(says("/var/lib/docker/100000.100000\n"))).toMatchObject({ verdict: "ok" });
    expect(await last(says("permission denied", 1))).toMatchObject({ verdict: "skipped" });
  });
});

test("no line has more than 80 columns, but for commands", async () => {
  const subject = { good: "Good", bad: "Bad", block: "For root:", more: [limitsText()] };
  for (const { machine, given } of causes) {
    const lines = printCheck(await asked(machine, given), { colours: false, subject }).split("\n");
    expect(lines.filter((line) => line.length > 80 && !/^ {4}|^\S+ .*(>|-)/.test(line))).toEqual([]);
    expect(lines.filter((line) => / $/.test(line))).toEqual([]);
  }
});
