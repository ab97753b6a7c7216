import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { tarball } from "../../test/helpers/tarballs.ts";
import { type InstallRequest, install } from "./install.ts";
import type { Settings } from "./journal.ts";
import { userLayout } from "./layout.ts";
import { uninstall } from "./uninstall.ts";

/** Of the calls that change something on the disk, the one that a run dies at; then all that follow fail as well. */
const death = vi.hoisted(() => ({ at: Number.POSITIVE_INFINITY, calls: 0, code: undefined as string | undefined }));

vi.mock("node:fs", async (original) => {
  const fs = await original<Record<string, unknown>>();
  const changing =
    "writeSync renameSync symlinkSync linkSync mkdirSync rmSync rmdirSync ftruncateSync fchmodSync".split(" ");
  const mortal =
    (call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      death.calls += 1;
      const isLast = death.code === undefined ? death.calls >= death.at : death.calls === death.at;
      if (isLast) throw Object.assign(new Error("the end"), { code: death.code ?? "KILLED", syscall: "write" });
      return call(...args);
    };
  const mocked = changing.map((name) => [name, mortal(fs[name] as (...args: unknown[]) => unknown)]);
  return { ...fs, fsyncSync: () => undefined, ...Object.fromEntries(mocked) };
});
vi.mock("../native/calls.ts", () => ({ flock: () => undefined }));

let top: string;
let home: string;
const PROFILE = "# mine\n";

/** Of a client, what the installation asks for: contexts are files, and the one in use stands in config.json. */
const DOCKER = `#!/bin/sh
cd "$HOME/.docker" || exit 1
case "$*" in
*" context create "*) mkdir contexts/meta/x && : >contexts/meta/x/meta.json ;;
*" context inspect "*) test -e contexts/meta/x/meta.json ;;
*" context rm "*) rm -rf contexts/meta/x ;;
*" context use rootless") echo '{"currentContext":"rootless"}' >config.json ;;
*" context use default") echo '{}' >config.json ;;
"context inspect "*) grep -q rootless config.json && echo rootless || echo default ;;
*) exit 1 ;;
esac
`;

/** Of systemctl --user: a link for what is enabled. */
const SYSTEMCTL = `#!/bin/sh
wants="$HOME/.config/systemd/user/default.target.wants/docker.service"
case "$*" in
*" daemon-reload"|*" show-environment") exit 0 ;;
*" is-enabled "*) test -h "$wants" && echo enabled ;;
*" enable "*) ln -sf ../docker.service "$wants" ;;
*" disable "*) rm -f "$wants" ;;
*) exit 1 ;;
esac
`;

function program(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), "rlkit-install-"));
  for (const name of ["tree/bin", "tree/libexec", "bin"]) mkdirSync(join(top, name), { recursive: true });
  for (const name of ["bin/rlkit", "bin/rootlesskit", "libexec/rootlesskit-docker-proxy"])
    program(join(top, "tree", name), "");
  program(join(top, "bin", "systemctl"), SYSTEMCTL);
  for (const version of ["1.0.0", "2.0.0"]) {
    const entry = (name: string, content: string) => ({ name: `docker/${name}`, mode: 0o755, content });
    const more = version === "1.0.0" ? [entry("vpnkit", "")] : [];
    writeFileSync(
      join(top, `docker-${version}.tgz`),
      await tarball([
        entry("dockerd", `#!/bin/sh\necho ${version}\n`),
        entry("docker", DOCKER),
        entry("rootlesskit", ""),
        ...more,
      ]),
    );
  }
  vi.stubEnv("RLKIT_HOME", join(top, "tree"));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(top, { recursive: true });
});
beforeEach(() => {
  home = join(top, "home");
  mkdirSync(home);
  writeFileSync(join(home, ".profile"), PROFILE);
});
afterEach(() => {
  live();
  rmSync(home, { recursive: true });
});

function live(): void {
  Object.assign(death, { at: Number.POSITIVE_INFINITY, calls: 0, code: undefined });
}

const env = () => ({ HOME: home, PATH: `${join(top, "bin")}:/usr/bin:/bin`, XDG_RUNTIME_DIR: home });
const progress = () => ({ update() {}, end() {} });

function run(version = "1.0.0", more: Partial<InstallRequest> & { settings?: Settings } = {}) {
  const request: InstallRequest = {
    source: {
      from: [join(top, `docker-${version}.tgz`)],
      version: undefined,
      channel: undefined,
      mirror: "",
      sha256: [],
    },
    force: false,
    user: undefined,
    layout: (bin) => userLayout({ home, env: {}, bin }),
    env: env(),
    signal: new AbortController().signal,
    ...more,
    settings: { init: "systemd", shellProfile: join(home, ".profile"), ...more.settings },
  };
  return install(request, progress);
}

const takeBack = () => uninstall(userLayout({ home, env: {}, bin: undefined }), env());

/** All that is in the home directory, but for the journal: paths with what they are. */
function snapshot(directory = home): string[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const path = join(directory, name);
      const stat = lstatSync(path);
      if (name === "journal.jsonl") return [];
      if (stat.isDirectory()) return [`${path}/`, ...snapshot(path)];
      return [
        stat.isSymbolicLink()
          ? `${path} -> ${readlinkSync(path)}`
          : `${path} ${stat.mode.toString(8)} ${readFileSync(path, "utf8")}`,
      ];
    });
}

const text = (path: string): string => readFileSync(join(home, path), "utf8");

test("all that is made, and all of it gone again", async () => {
  const before = snapshot();
  const { reports, isNew } = await run();
  expect(isNew).toBe(true);
  expect(reports.filter(({ step, outcome }) => outcome !== "made" && step.do !== "settings")).toEqual([]);
  expect(readlinkSync(join(home, "bin/dockerd"))).toBe(join(home, ".local/share/rlkit/install/current/dockerd"));
  expect(readlinkSync(join(home, "bin/rootlesskit"))).toBe(join(top, "tree/bin/rootlesskit"));
  expect(text("bin/dockerd")).toContain("echo 1.0.0");
  expect(text(".config/environment.d/60-rlkit.conf")).toContain(`PATH=${home}/bin:\${PATH}\n`);
  expect(text(".profile")).toMatch(
    /^# mine\n# >>> rlkit install >>>\nexport PATH=.*DOCKER_HOST.*# <<< rlkit install <<<\n$/s,
  );
  expect(text(".docker/config.json")).toContain("rootless");
  expect(await takeBack()).toMatchObject({ kept: [] });
  expect(snapshot()).toEqual(before);
});

test("a second run changes nothing, with its source or without", async () => {
  await run();
  const after = snapshot();
  for (const from of [[join(top, "docker-1.0.0.tgz")], []]) {
    const { reports, isNew } = await run("1.0.0", {
      source: { from, version: undefined, channel: undefined, mirror: "", sha256: [] },
    });
    expect([isNew, reports.map(({ outcome }) => outcome)]).toEqual([false, reports.map(() => "there")]);
    expect(snapshot()).toEqual(after);
  }
});

test("another version takes the place of the first; what only that had goes, and it stays to go back to", async () => {
  await run();
  await run("2.0.0");
  expect(text("bin/dockerd")).toContain("echo 2.0.0");
  expect(readdirSync(join(home, "bin"))).not.toContain("vpnkit");
  expect(readdirSync(join(home, ".local/share/rlkit/install/versions")).sort()).toEqual(["1.0.0", "2.0.0"]);
  const { isNew } = await run("1.0.0");
  expect(isNew).toBe(false);
  expect(text("bin/dockerd")).toContain("echo 1.0.0");
});

describe("killed at any point", () => {
  /** Runs it to its death at each call that changes something, until it lives through. */
  async function everywhere(version: string, begin: () => Promise<unknown>, afterwards: (at: number) => Promise<void>) {
    let points = 0;
    for (let at = 1; ; at += 1) {
      rmSync(home, { recursive: true });
      mkdirSync(home);
      writeFileSync(join(home, ".profile"), PROFILE);
      await begin();
      Object.assign(death, { at, calls: 0 });
      const died = await run(version).then(
        () => false,
        () => true,
      );
      live();
      await afterwards(at);
      points += 1;
      if (!died) return points;
    }
  }

  test("a second run finishes it", async () => {
    await run();
    const complete = snapshot();
    await takeBack();
    const points = await everywhere(
      "1.0.0",
      async () => {},
      async (at) => {
        await run();
        expect(snapshot(), `killed at ${at}`).toEqual(complete);
      },
    );
    expect(points).toBeGreaterThan(100);
  }, 120_000);

  test("uninstall leaves nothing", async () => {
    const before = snapshot();
    await everywhere(
      "1.0.0",
      async () => {},
      async (at) => {
        expect((await takeBack())?.kept ?? [], `killed at ${at}`).toEqual([]);
        expect(snapshot(), `killed at ${at}`).toEqual(before);
      },
    );
  }, 120_000);

  test("while another version takes its place: the programs are always those of one, and uninstall leaves nothing", async () => {
    const before = snapshot();
    await everywhere("2.0.0", run, async (at) => {
      const dockerd = text("bin/dockerd");
      expect(dockerd, `killed at ${at}`).toMatch(/echo [12]\.0\.0/);
      expect(text("bin/docker"), `killed at ${at}`).toBe(DOCKER);
      expect((await takeBack())?.kept ?? [], `killed at ${at}`).toEqual([]);
      expect(snapshot(), `killed at ${at}`).toEqual(before);
    });
  }, 120_000);
});

test("where a call fails, all is as before: the file system is full at each of them in turn", async () => {
  const before = snapshot();
  for (let at = 1; ; at += 1) {
    Object.assign(death, { at, calls: 0, code: "ENOSPC" });
    const failed = await run().then(
      () => undefined,
      (error: Error) => error,
    );
    live();
    if (failed === undefined) break;
    expect(failed.message, `call ${at}`).toMatch(/^cannot \S+.* \/\S+: the file system is full/);
    expect(snapshot(), `call ${at}`).toEqual(before);
  }
}, 120_000);

describe("what is not ours", () => {
  test("is in the way: a sentence, and nothing is changed", async () => {
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "bin/dockerd"), "mine");
    const before = snapshot();
    await expect(run()).rejects.toThrow(`in the way, and not made by rlkit: ${home}/bin/dockerd; nothing was changed`);
    expect(snapshot()).toEqual(before);
  });

  test("is moved aside with --force, and comes back", async () => {
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "bin/dockerd"), "mine");
    const before = snapshot();
    await run("1.0.0", { force: true });
    expect(text("bin/dockerd")).toContain("echo 1.0.0");
    await takeBack();
    expect(snapshot()).toEqual(before);
  });

  test("is what the user has changed since: kept by the next run and by uninstall, and named", async () => {
    await run();
    const unit = join(home, ".config/systemd/user/docker.service");
    writeFileSync(unit, "changed");
    const { reports } = await run();
    expect(
      reports.filter(({ outcome }) => outcome === "changed").map(({ step }) => "path" in step && step.path),
    ).toEqual([unit]);
    expect(await takeBack()).toMatchObject({ kept: [`${unit}: it is not as it was installed`] });
    expect(readFileSync(unit, "utf8")).toBe("changed");
  });

  test("lines that the user has changed stay; others around them never matter", async () => {
    await run();
    const profile = text(".profile");
    writeFileSync(join(home, ".profile"), `first\n${profile}last\n`);
    await takeBack();
    expect(text(".profile")).toBe("first\n# mine\nlast\n");
    await run();
    writeFileSync(join(home, ".profile"), text(".profile").replace("export PATH", "# export PATH"));
    expect(await takeBack()).toMatchObject({
      kept: [expect.stringContaining("the lines of rlkit install in it are not as they were")],
    });
  });
});

test("a command that fails takes the rest back", async () => {
  const before = snapshot();
  const systemctl = SYSTEMCTL.replace('ln -sf ../docker.service "$wants"', "echo no bus >&2; exit 1");
  program(join(top, "bin", "systemctl"), systemctl);
  await expect(run()).rejects.toThrow('"systemctl --user enable docker.service" failed: no bus');
  program(join(top, "bin", "systemctl"), SYSTEMCTL);
  expect(snapshot()).toEqual(before);
});

test("a wrong checksum: a sentence, and nothing is there", async () => {
  const before = snapshot();
  const source = {
    from: [join(top, "docker-1.0.0.tgz")],
    version: undefined,
    channel: undefined,
    mirror: "",
    sha256: ["0".repeat(64)],
  };
  await expect(run("1.0.0", { source })).rejects.toThrow("docker-1.0.0.tgz has the wrong checksum");
  expect(snapshot()).toEqual(before);
});

test("tarballs without dockerd, or with one that does not run", async () => {
  const before = snapshot();
  for (const [name, content, why] of [
    ["docker/docker", "", "docker-9.tgz is not unpacked: there is no program dockerd in it"],
    ["docker/dockerd", "#!/bin/sh\necho bad >&2; exit 1\n", "the dockerd that was unpacked does not run here: bad"],
  ] as const) {
    const file = join(top, "docker-9.tgz");
    writeFileSync(file, await tarball([{ name, mode: 0o755, content }]));
    await expect(run("9")).rejects.toThrow(why);
    expect(snapshot()).toEqual(before);
  }
});
