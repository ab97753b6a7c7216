import { readlink } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { leftBesideDocker, startWeb } from "./helpers/containers.ts";
import { answering, dockerOutput, importImage, inContainer } from "./helpers/docker.ts";
import { loginEnvironment } from "./helpers/environment.ts";
import { type Running, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";

/** The script that starts dockerd by way of RootlessKit, as Debian's package has it. */
const DEBIANS = "/usr/share/docker.io/contrib/dockerd-rootless.sh";

/** Starts it with rlkit's `rootlesskit` first on PATH. */
function dockerdRootless(user: User, variables: Record<string, string>): Promise<Running> {
  const { PATH = "" } = loginEnvironment(user);
  const env: Record<string, string> = { PATH: [join(tree(), "bin"), PATH].join(delimiter) };
  for (const [name, value] of Object.entries(variables)) env[`DOCKERD_ROOTLESS_ROOTLESSKIT_${name}`] = value;
  return answering(user, start(user, [DEBIANS, "--storage-driver", "vfs"], { env }));
}

// Other releases, storage drivers and kinds of iptables: npm run test:hosts.
describe.each(["slirp4netns", "pasta"])("Debian's dockerd-rootless.sh with NET=%s", (net) => {
  test.each([
    { ports: "PORT_DRIVER=builtin", variables: { PORT_DRIVER: "builtin" } },
    { ports: "its own choice for ports", variables: {} },
  ])("and $ports: runs, publishes, stops, leaves nothing", async ({ variables }) => {
    await using user = await testUser();
    await using daemon = await dockerdRootless(user, { NET: net, MTU: "65520", ...variables });
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
