import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, readlink, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify, stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answering, dockerOutput } from "./helpers/docker.ts";
import { loginEnvironment } from "./helpers/environment.ts";
import { type FileServer, fileServer } from "./helpers/file-server.ts";
import { leftovers } from "./helpers/left.ts";
import { proxyServer } from "./helpers/proxy.ts";
import { expectRefusal } from "./helpers/refusal.ts";
import { type Result, type Running, rlkit, start } from "./helpers/run.ts";
import { realDocker, smallDocker, tarball } from "./helpers/tarballs.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const VERSION = "27.3.1";
const execute = promisify(execFile);

let user: User;
let server: FileServer;
/** The addresses of Docker's archives on the server. */
let from: string[];

beforeEach(async () => {
  user = await testUser();
  server = await fileServer();
  const { main, extras } = await smallDocker(VERSION);
  from = serve({ [`docker-${VERSION}.tgz`]: main, [`docker-rootless-extras-${VERSION}.tgz`]: extras });
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await user[Symbol.asyncDispose]();
});

/** Puts files on the server; their addresses as options. */
function serve(files: Record<string, Buffer>): string[] {
  return Object.entries(files).map(([name, content]) => {
    server.files.set(`/${name}`, content);
    return `--from=${server.url}/${name}`;
  });
}

const started = (args: readonly string[], env: Record<string, string> = {}): Running => rlkit(user, args, { env });

async function run(...args: string[]): Promise<Result> {
  await using running = started(args);
  return await running.result();
}

/** For a run that is to succeed: its output. */
async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** All that is in the home directory, with what it is; the journal's lines have no order that matters. */
async function snapshot(): Promise<string[]> {
  const { stdout } = await execute("find", [user.home, "-printf", "%P %y %m %l\n"]);
  const sums = await execute("sh", [
    "-c",
    'find "$1" -type f ! -name journal.jsonl -exec sha256sum {} +',
    "sh",
    user.home,
  ]);
  return [...stdout.split("\n"), ...sums.stdout.split("\n")].sort();
}

const inHome = (path: string): string => join(user.home, path);
const STORE = ".local/share/rlkit/install";

test("Docker's archives of this machine's own programs: installed, they run a container's daemon, and all of it goes again", async () => {
  const before = await snapshot();
  const archive = await realDocker();
  const sha256 = createHash("sha256").update(archive).digest("hex");
  const [real = ""] = serve({ "docker-20.10.24.tgz": archive });
  expect(await output("install", real, `--sha256=${sha256}`)).toContain("its SHA-256 is as --sha256 says");
  const bin = inHome("bin");
  const env = { PATH: `${bin}:${loginEnvironment(user).PATH}` };
  {
    await using daemon = await answering(
      user,
      start(user, ["rlkit", "run", "--", "dockerd", "--experimental"], { env }),
    );
    expect(await readlink(`/proc/${await pidOf("dockerd")}/exe`)).toBe(inHome(`${STORE}/versions/20.10.24/dockerd`));
    // The context that was made, and nothing in the environment.
    expect(await dockerOutput(user, ["info", "--format", "{{.SecurityOptions}}"], { HOME: user.home })).toContain(
      "rootless",
    );
    await using refused = started(["uninstall", "--purge"]);
    expect(await refused.result()).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("is in use: dockerd runs"),
    });
    daemon.kill("SIGTERM");
    await daemon.result();
  }
  await using files = rlkit(user, [
    "run",
    "--net=none",
    "--",
    "sh",
    "-c",
    `echo x >${inHome(".local/share/docker/vfs-of-another")} && chown -R 1000:1000 ${inHome(".local/share/docker/")}*`,
  ]);
  expect(await files.result()).toMatchObject({ code: 0 });
  expect(await output("uninstall", "--purge")).toContain("Images, containers and volumes are gone:");
  await rmdir(inHome(".config")); // dockerd had made it, for a key
  expect(await snapshot()).toEqual(before);
});

async function pidOf(name: string): Promise<string> {
  return (await execute("pgrep", ["--newest", "--exact", "--uid", String(user.uid), name])).stdout.trim();
}

describe("downloads", () => {
  test("from the server of the channel: the newest version", async () => {
    const path = `/linux/static/stable/${process.arch === "arm64" ? "aarch64" : "x86_64"}`;
    const { main, extras } = await smallDocker("28.10.0");
    server.files.set(`${path}/`, Buffer.from('<a href="docker-28.9.1.tgz">…</a> <a href="docker-28.10.0.tgz">…</a>'));
    server.files.set(`${path}/docker-28.10.0.tgz`, main);
    server.files.set(`${path}/docker-rootless-extras-28.10.0.tgz`, extras);
    await output("install", "--channel=stable", `--mirror=${server.url}`);
    expect(await readlink(inHome(`${STORE}/current`))).toBe(inHome(`${STORE}/versions/28.10.0`));
  });

  test("a connection that is cut again and again is made again, and goes on where it was", async () => {
    const { length } = server.files.get(`/docker-${VERSION}.tgz`) ?? [];
    server.options.cutAfter = 100;
    await output("install", ...from);
    const ranges = server.requests.filter((line) => line.startsWith(`GET /docker-${VERSION}.tgz bytes=`));
    expect(ranges.length).toBe(Math.ceil((length ?? 0) / 100) - 1);
    expect(await readFile(inHome("bin/dockerd"), "utf8")).toContain(VERSION);
  });

  test("a server that knows no ranges is asked for the whole", async () => {
    server.options.ranges = false;
    server.options.cutAfter = 100;
    await using failed = started(["install", ...from]);
    expect((await failed.result()).stderr).toMatch(
      /^rlkit: cannot download http.*cut.*\. To do: run the same command again/,
    );
    server.options.cutAfter = Number.POSITIVE_INFINITY;
    await output("install", ...from);
  });

  test("a network that fails: a sentence, and the next run, without options, goes on", async () => {
    const before = await snapshot();
    const path = `/docker-${VERSION}.tgz`;
    server.options.cutAfter = 100;
    server.options.failAfter = 2;
    await using failed = started(["install", ...from]);
    const sentence = `cannot download ${server.url}${path}: the connection was cut.* after 200 bytes. To do: run the same command`;
    expect(await failed.result()).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(`^rlkit: ${sentence}.*\n$`),
    });
    // Nothing but the download, for which the journal answers.
    expect(await readdir(inHome(STORE))).toEqual(expect.arrayContaining(["downloads", "journal.jsonl"]));
    expect((await readdir(user.home)).sort()).toEqual([".bash_logout", ".bashrc", ".local", ".profile"]);
    server.requests.length = 0;
    delete server.options.failAfter;
    server.options.cutAfter = Number.POSITIVE_INFINITY;
    await output("install");
    expect(server.requests).toContain(`GET ${path} bytes=200-`);
    await output("uninstall");
    expect(await snapshot()).toEqual(before);
  });

  test("by way of the environment's proxy, but to the hosts of no_proxy", async () => {
    await using proxy = await proxyServer({ password: "secret" });
    const http_proxy = `me:secret@${proxy.address}`;
    await using direct = started(["install", ...from], { http_proxy, no_proxy: "localhost,127.0.0.1" });
    expect(await direct.result()).toMatchObject({ code: 0, stderr: "" });
    expect(proxy.requests).toEqual([]);
    await output("uninstall");
    await using made = started(["install", ...from], { http_proxy });
    expect(await made.result()).toMatchObject({ code: 0, stderr: "" });
    expect(proxy.requests).toContain(`GET ${server.url}/docker-${VERSION}.tgz`);
    expect(await readFile(inHome("bin/dockerd"), "utf8")).toContain(VERSION);
  });

  test("a proxy that is not there, or wants a password, is named in the sentence", async () => {
    await using proxy = await proxyServer({ password: "secret" });
    const says = async (env: Record<string, string>, ...args: string[]): Promise<string> => {
      await using running = started(["install", ...args], env);
      const { code, stderr } = await running.result();
      expect(code).toBe(125);
      return stderr;
    };
    const gone = await says({ http_proxy: "http://me:secret@127.0.0.1:1" }, ...from);
    expect(gone).toContain("the server refuses the connection, by way of the proxy http://…@127.0.0.1:1");
    expect(await says({ http_proxy: proxy.address }, ...from)).toContain("the proxy wants a name and a password");
    const secure = ["--version=27.3.1", "--mirror=https://127.0.0.1:9443"];
    expect(await says({ https_proxy: proxy.address }, ...secure)).toContain("the proxy wants a name and a password");
    expect(proxy.requests).toContain("CONNECT 127.0.0.1:9443");
    expect(await says({ ALL_PROXY: "socks5://me:secret@127.0.0.1:1" }, ...from)).toContain(
      "ALL_PROXY=socks5://…@127.0.0.1:1 is no proxy that can be used here",
    );
  });

  test("what is left of a download goes with uninstall", async () => {
    const before = await snapshot();
    server.options.cutAfter = 150;
    server.options.failAfter = 1;
    expect(await run("install", ...from)).toMatchObject({ code: 125 });
    await output("uninstall");
    expect(await snapshot()).toEqual(before);
  });

  test("another edition of the file is not joined to what came before", async () => {
    server.options.cutAfter = 150;
    server.options.failAfter = 1;
    expect(await run("install", ...from)).toMatchObject({ code: 125 });
    const { main } = await smallDocker("27.3.9");
    server.files.set(`/docker-${VERSION}.tgz`, main);
    delete server.options.failAfter;
    server.options.cutAfter = Number.POSITIVE_INFINITY;
    await output("install");
    expect(await readFile(inHome("bin/dockerd"), "utf8")).toContain("27.3.9");
  });

  test("^C: a sentence, and the next run goes on", async () => {
    server.options.hold = true;
    server.options.cutAfter = 100;
    await using running = started(["install", ...from]);
    await until(() => server.requests.includes(`GET /docker-${VERSION}.tgz`), { what: "the request" });
    running.kill("SIGINT");
    expect(await running.result()).toMatchObject({
      code: 130,
      stderr: expect.stringMatching(/^rlkit: interrupted; .*\n$/),
    });
    server.options.hold = false;
    server.options.cutAfter = Number.POSITIVE_INFINITY;
    await output("install");
  });

  test("at a terminal a bar with the rate, elsewhere nothing", async () => {
    serve({
      [`docker-${VERSION}.tgz`]: await tarball([
        { name: "docker/dockerd", mode: 0o755, content: "#!/bin/sh\n" },
        { name: "docker/data", content: Buffer.alloc(3_000_000) },
      ]),
    });
    server.options.cutAfter = 1000;
    await using running = rlkit(user, ["install", ...from, `--bin-dir=${inHome("x")}`], { terminal: true });
    const { stdout } = await running.result();
    expect(stdout).toMatch(new RegExp(`download docker-${VERSION}\\.tgz .*B/s`));
    for (const line of stripVTControlCharacters(stdout.replaceAll("\u001b[1G", "\n")).split(/[\r\n]+/))
      expect(line.length, line).toBeLessThanOrEqual(80);
  });
});

describe("what is refused, in one sentence, with nothing left", () => {
  const sum = "0".repeat(64);

  test.each<[string, () => Promise<string[]>, string[]]>([
    [
      "a wrong checksum",
      async () => [...from, `--sha256=${sum}`],
      [`docker-${VERSION}.tgz has the wrong checksum: its SHA-256 is`, `--sha256 says ${sum}`],
    ],
    [
      "a wrong checksum beside it",
      async () => [
        ...from,
        ...serve({ [`docker-${VERSION}.tgz.sha256`]: Buffer.from(`${sum}  docker-${VERSION}.tgz\n`) }).slice(1),
      ],
      ["has the wrong checksum", `docker-${VERSION}.tgz.sha256 says ${sum}`],
    ],
    [
      "a path that leads out",
      async () => serve({ "a.tgz": await tarball([{ name: "../../evil", content: "x" }]) }),
      ['a.tgz is not unpacked: "../../evil" leads out of it'],
    ],
    [
      "an absolute path",
      async () => serve({ "a.tgz": await tarball([{ name: "/tmp/evil", content: "x" }]) }),
      ["is an absolute path"],
    ],
    [
      "a link out",
      async () => serve({ "a.tgz": await tarball([{ name: "docker/dockerd", type: "symlink", linkname: "/bin/sh" }]) }),
      ["leads out of it"],
    ],
    [
      "a bomb",
      async () =>
        serve({
          "a.tgz": await tarball(
            Array.from({ length: 1001 }, (_, i) => ({ name: `d${i}/`, type: "directory" as const })),
          ),
        }),
      ["it has more than 1000 entries"],
    ],
    ["a file that is not there", async () => [`--from=${server.url}/none.tgz`], ["there is no such file (status 404)"]],
    [
      "a server that is not there",
      async () => ["--from=http://127.0.0.1:2/docker-1.tgz"],
      ["cannot read http://127.0.0.1:2/", "the server refuses the connection"],
    ],
    [
      "what is not encrypted, and has no checksum",
      async () => ["--from=http://192.0.2.1/docker-1.tgz"],
      ["is not encrypted", "--sha256"],
    ],
    [
      "a directory that is not ours",
      async () => [...from, "--bin-dir=/usr/local/lib/x"],
      ["/usr/local/lib/x", "permission denied"],
    ],
    [
      "a daemon for another processor",
      async () =>
        serve({ "a.tgz": await tarball([{ name: "docker/dockerd", mode: 0o755, content: Buffer.from("\x7fELF") }]) }),
      ["does not run here"],
    ],
  ])("%s", async (_what, args, says) => {
    const options = await args();
    const before = await snapshot();
    await using refused = started(["install", ...options]);
    await expectRefusal(user, refused, { status: 125, says });
    expect(await snapshot()).toEqual(before);
  });

  test("a full disk", async () => {
    const small = inHome("small");
    await mkdir(small);
    await execute("mount", ["-t", "tmpfs", "-o", `size=1m,uid=${user.uid}`, "tmpfs", small]);
    try {
      const noise = Buffer.from(Array.from({ length: 2_000_000 }, (_, i) => (i * 7919 + (i >> 8) * 31) & 0xff));
      const file = serve({ "docker-1.tgz": await tarball([{ name: "docker/dockerd", mode: 0o755, content: noise }]) });
      await using refused = started(["install", ...file], { XDG_DATA_HOME: small });
      await expectFull(refused);
      expect(await readdir(small)).toEqual([]);
    } finally {
      await execute("umount", [small]);
    }
  });

  async function expectFull(refused: Running): Promise<void> {
    const { code, stderr } = await refused.result();
    expect([code, stderr]).toEqual([
      125,
      expect.stringMatching(/^rlkit: cannot write \S+: the file system is full\. To do: make room.*\n$/),
    ]);
  }
});

describe("with systemd", () => {
  /** A systemctl that keeps what it is asked. */
  async function systemctl(): Promise<Record<string, string>> {
    const bin = inHome("fake");
    await mkdir(bin);
    const script = `#!/bin/sh\necho "$@" >>${user.home}/asked\ncase "$*" in *is-enabled*) exit 1;; esac\n`;
    await writeFile(join(bin, "systemctl"), script);
    await chmod(join(bin, "systemctl"), 0o755);
    return { PATH: `${bin}:${loginEnvironment(user).PATH}` };
  }

  test("the unit is written, read, enabled and started; uninstall stops it first", async () => {
    const env = await systemctl();
    await using made = started(["install", ...from, "--init=systemd", "--now", "--", "--label=a b"], env);
    expect(await made.result()).toMatchObject({ code: 0, stderr: "" });
    const unit = await readFile(inHome(".config/systemd/user/docker.service"), "utf8");
    expect(unit).toMatch(/^ExecStart=\S+\/bin\/rlkit run -- dockerd "--label=a b"$/m);
    expect(unit).toMatch(new RegExp(`^Environment=PATH=${inHome("bin")}:`, "m"));
    const asked = async () => (await readFile(inHome("asked"), "utf8")).trim().split("\n");
    expect(await asked()).toEqual([
      "--user show-environment",
      "--user daemon-reload",
      "--user daemon-reload", // of each unit that is written
      "--user is-enabled docker.service",
      "--user enable docker.service",
      "--user start docker.service",
    ]);
    await rm(inHome("asked"));
    await using gone = started(["uninstall"], env);
    expect(await gone.result()).toMatchObject({ code: 0 });
    expect(await asked()).toEqual([
      "--user disable --now docker.service",
      "--user stop rlkit@*.service", // instances that the user has started
      "--user disable rlkit@.service",
      "--user daemon-reload",
      "--user daemon-reload",
    ]);
    expect(await readdir(user.home)).not.toContain(".config");
  });

  test("--instance: one more, which is taken back alone or with the rest", async () => {
    const env = await systemctl();
    const asked = async () => {
      const lines = (await readFile(inHome("asked"), "utf8")).trim().split("\n");
      await rm(inHome("asked"));
      return lines.filter((line) => /^--user (enable|start|disable --now) /.test(line));
    };
    const succeeds = async (...args: string[]) => {
      await using running = started(args, env);
      expect(await running.result()).toMatchObject({ code: 0, stderr: "" });
    };
    await succeeds("install", ...from, "--init=systemd", "--instance=one", "--now");
    expect(await asked()).toEqual([
      "--user enable docker.service",
      "--user enable rlkit@one.service",
      "--user start docker.service rlkit@one.service",
    ]);
    await succeeds("install", "--init=systemd", "--instance=two");
    expect(await asked()).toContain("--user enable rlkit@two.service");
    await succeeds("uninstall", "--instance=one");
    expect(await asked()).toEqual(["--user disable --now rlkit@one.service"]);
    await succeeds("install", "--init=systemd"); // which does not bring it back
    expect((await asked()).filter((line) => line.includes("one"))).toEqual([]);
    expect(await output("uninstall", "--instance=one")).toBe("No instance one is installed.\n");
    await succeeds("uninstall");
    expect(await asked()).toEqual(["--user disable --now rlkit@two.service", "--user disable --now docker.service"]);
    expect(await readdir(user.home)).not.toContain(".config");
  });

  test("a session that su has not made: what to do, before anything is written", async () => {
    const before = await snapshot();
    await using refused = started(["install", ...from, "--init=systemd"]);
    await expectRefusal(user, refused, { status: 125, says: ["has no session of it here", "loginctl enable-linger"] });
    expect(await snapshot()).toEqual(before);
  });
});

test("--dry-run writes nothing, and shows all that would be written", async () => {
  const before = await snapshot();
  const shown = await output("install", ...from, "--init=runit", "--shell-profile", inHome(".profile"), "--dry-run");
  for (const text of [
    `${user.home}/.config/runit/sv/docker/run, mode 755`,
    "exec ",
    "# >>> rlkit install >>>",
    `link ${user.home}/bin/dockerd`,
    "context create rootless",
  ]) {
    expect(shown).toContain(text);
  }
  expect(await snapshot()).toEqual(before);
  expect(await leftovers(user)).toEqual([]);
});

test("a second run says what is there, and changes nothing", async () => {
  await output("install", ...from);
  const after = await snapshot();
  expect(await output("install", ...from)).toMatch(/^Nothing to do; all is there already:\n/);
  expect(await output("install")).toMatch(/^Nothing to do; all is there already:\n/);
  expect(await snapshot()).toEqual(after);
});

test("nothing is installed, and there are no data: uninstall says so", async () => {
  for (const options of [[], ["--purge"]])
    expect(await output("uninstall", ...options)).toBe("Nothing is installed.\n");
});

test("data of instances are purged by their names, and named until then", async () => {
  const ofDockerd = async (name: string): Promise<string> => {
    const path = inHome(`.local/share/${name}`);
    await execute("install", ["-d", "-o", String(user.uid), path, join(path, "vfs")]);
    return path;
  };
  const [usual, ci] = [await ofDockerd("docker"), await ofDockerd("docker-ci")];
  await mkdir(inHome(".local/share/docker-compose"));
  await execute("chown", ["-R", `${user.uid}`, inHome(".local")]);
  const remains = (path: string, option = ""): string =>
    `Images, containers and volumes remain in ${path}; to remove them: rlkit uninstall --purge${option}\n`;
  const none = "Nothing is installed.\n";
  const unfolded = async (...args: string[]): Promise<string> => (await output(...args)).replaceAll("\n  ", " ");
  expect(await unfolded("uninstall")).toBe(`${none}${remains(usual)}${remains(ci, " --instance=ci")}`);
  const gone = `Images, containers and volumes are gone: ${usual}\n`;
  expect(await unfolded("uninstall", "--purge")).toBe(`${none}${gone}${remains(ci, " --instance=ci")}`);
  expect(await unfolded("uninstall", "--purge", "--instance=ci")).toContain(`are gone: ${ci}\n`);
  expect(await readdir(inHome(".local/share"))).toEqual(["docker-compose"]);
});

/** Pseudo-random numbers from 0 to 1 that are the same in each run (Lehmer). */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 48271) % 0x7fffffff;
    yield state / 0x7fffffff;
  }
}

test("killed at 20 points: a second run finishes it, or uninstall leaves nothing", async () => {
  const before = await snapshot();
  const begin = performance.now();
  await output("install", ...from);
  const duration = performance.now() - begin;
  const complete = await snapshot();
  await output("uninstall");
  expect(await snapshot()).toEqual(before);
  const numbers = random(7);
  for (let i = 0; i < 20; i += 1) {
    const delay = numbers.next().value * duration;
    {
      await using _running = started(["install", ...from]);
      await pause(delay);
    } // here it is killed
    if (i % 2 === 0) {
      await output("install", ...from);
      expect(await snapshot(), `killed after ${delay} of ${duration} ms`).toEqual(complete);
    }
    await run("uninstall");
    expect(await snapshot(), `killed after ${delay} of ${duration} ms`).toEqual(before);
  }
}, 120_000);
