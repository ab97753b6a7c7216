import { existsSync } from "node:fs";
import { chmod, readlink, writeFile } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { leftBesideDocker, startWeb } from "./helpers/containers.ts";
import { answering, dockerOutput, importImage, inContainer } from "./helpers/docker.ts";
import { loginEnvironment } from "./helpers/environment.ts";
import { type Running, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

/** The script that starts dockerd by way of RootlessKit, as Debian's package has it. */
const DEBIANS = "/usr/share/docker.io/contrib/dockerd-rootless.sh";

/** rlkit's own. */
const rlkits = (): string => join(tree(), "bin", "dockerd-rootless.sh");

/** Starts one of them with rlkit's `rootlesskit` first on PATH. */
function dockerdRootless(script: string, user: User, variables: Record<string, string>): Promise<Running> {
  const { PATH = "" } = loginEnvironment(user);
  const env: Record<string, string> = { PATH: [join(tree(), "bin"), PATH].join(delimiter) };
  for (const [name, value] of Object.entries(variables)) env[`DOCKERD_ROOTLESS_ROOTLESSKIT_${name}`] = value;
  return answering(user, start(user, [script, "--storage-driver", "vfs"], { env }));
}

// Other releases, storage drivers and kinds of iptables: npm run test:hosts.
describe.each(["slirp4netns", "pasta"])("dockerd-rootless.sh with NET=%s", (net) => {
  test.each([
    { of: "Debian's, PORT_DRIVER=builtin", script: () => DEBIANS, variables: { PORT_DRIVER: "builtin" } },
    { of: "Debian's, its own choice for ports", script: () => DEBIANS, variables: {} },
    { of: "rlkit's", script: rlkits, variables: {} },
  ])("$of: runs, publishes, stops, leaves nothing", async ({ script, variables }) => {
    await using user = await testUser();
    await using daemon = await dockerdRootless(script(), user, { NET: net, MTU: "65520", ...variables });
    // Each program on the way gives way to the next: this is rlkit, which Node runs, not the machine's RootlessKit.
    expect(basename(await readlink(`/proc/${daemon.pid}/exe`))).toBe("node");
    await importImage(user);
    expect(await inContainer(user, ["echo", "from inside"])).toBe("from inside");

    const { port } = await startWeb(user, "web");
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("web");
    await dockerOutput(user, ["stop", "web"]);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();

    daemon.kill("SIGTERM");
    expect(await daemon.result(10_000)).toMatchObject({ code: 0, signal: null });
    expect(await leftBesideDocker(user)).toEqual([]);
  });
});

describe("rlkit's scripts", () => {
  test.each([
    [["install"], {}, 1, /^Did you mean 'dockerd-rootless-setuptool\.sh install' \?\n$/],
    [[], { DOCKERD_ROOTLESS_ROOTLESSKIT_NET: "host" }, 1, /error: Unsupported RootlessKit network driver: host\n$/],
    [[], { DOCKERD_ROOTLESS_ROOTLESSKIT_NET: "foo" }, 1, /error: unknown network mode: foo\n$/],
    [[], { DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS: "--mtu=70000" }, 1, /error: mtu must be <= 65521, got 70000\n$/],
    [
      [],
      { DOCKERD_ROOTLESS_ROOTLESSKIT_DETACH_NETNS: "perhaps" },
      1,
      /DETACH_NETNS must be true or false, not perhaps\n$/,
    ],
    [[], { DOCKERD_ROOTLESS_ROOTLESSKIT_DETACH_NETNS: "true" }, 1, /--detach-netns needs dockerd 29\.5 or later/],
    [[], { DOCKERD: "/none/dockerd" }, 1, /command \[\/none\/dockerd\] exited: |cannot run \/none\/dockerd/],
  ])("dockerd-rootless.sh %j with %j is refused", async (args, variables, code, like) => {
    await using user = await testUser();
    await using run = start(user, [rlkits(), ...args], { env: variables });
    const result = await run.result();
    expect(result.stdout + result.stderr).toMatch(like);
    expect(result.code).toBe(code);
  });

  test("dockerd-rootless.sh does not start beside nerdctl's containerd", async () => {
    await using user = await testUser();
    await using made = start(user, ["mkdir", join(user.runtimeDir, "containerd-rootless")]);
    await made.result();
    await using run = start(user, [rlkits()]);
    expect(await run.result()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("containerd-rootless is there"),
    });
  });

  test("dockerd-rootless.sh ends with 255 when a signal has ended dockerd, and passes its variables on", async () => {
    await using user = await testUser();
    const DOCKERD = join(user.home, "dockerd");
    await writeFile(DOCKERD, '#!/bin/sh\n[ "$1 $2" = "--debug x" ] && [ -n "$ROOTLESSKIT_STATE_DIR" ] && kill -9 $$\n');
    await chmod(DOCKERD, 0o755);
    const env = { DOCKERD, DOCKERD_ROOTLESS_ROOTLESSKIT_NET: "slirp4netns" };
    await using run = start(user, [rlkits(), "--debug", "x"], { env });
    const { code, stderr } = await run.result();
    expect([code, stderr]).toEqual([
      255,
      expect.stringMatching(/giving up[\s\S]*exited: signal: killed\n.*exit status 255\n$/),
    ]);
  });

  test("containerd-rootless.sh: containerd has the user's directories, and ends without a trace", async () => {
    await using user = await testUser();
    await using run = start(user, [join(tree(), "bin", "containerd-rootless.sh")]);
    const socket = join(user.runtimeDir, "containerd", "containerd.sock");
    const stateDir = join(user.runtimeDir, "containerd-rootless");
    const version = async () => {
      await using asked = start(user, [
        join(tree(), "bin", "rlkit"),
        "exec",
        `--state-dir=${stateDir}`,
        "--",
        "ctr",
        "version",
      ]);
      return (await asked.result()).stdout.includes("Server:");
    };
    await until(() => existsSync(socket), { what: `containerd: ${run.stderr}` });
    await until(version);
    expect(existsSync(join(user.home, ".local", "share", "containerd", "io.containerd.metadata.v1.bolt"))).toBe(true);
    run.kill("SIGTERM");
    expect(await run.result(10_000)).toMatchObject({ code: 0 });
    expect(existsSync(stateDir)).toBe(false);
  });
});
