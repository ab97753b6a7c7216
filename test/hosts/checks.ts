import { until } from "../helpers/wait.ts";
import type { Cell } from "./cells.ts";
import { CLIENT, portDriver } from "./daemon.ts";
import type { Host } from "./host.ts";

const IMAGE = "cell";
/** The address of the host's network card (host.sh). */
const ADDRESS = "198.18.7.2";
/** As a container's first process, a program that knows nothing of TERM would not die of it. */
const STAYS = "trap exit TERM; sleep 1000 & wait";

/**
 * A shell command that writes a small image: busybox under the names that the checks use, and socat with its libraries,
 * for the datagrams that busybox can't answer.
 */
const PACK = `
  mkdir -p ~/image/bin ~/image/etc ~/image/proc ~/image/sys ~/image/dev ~/image/tmp
  cp -L /bin/busybox ~/image/bin
  for name in sh cat echo httpd id ip mkdir sleep touch; do ln -sf busybox ~/image/bin/$name; done
  cp -L --parents /usr/bin/socat $(ldd /usr/bin/socat | grep -o '/[^ ]*') ~/image
  echo root:x:0:0:root:/:/bin/sh >~/image/etc/passwd
  tar -C ~/image -cf ~/image.tar .`;

/** Makes the image's file, ~/image.tar. */
export const packImage = (host: Pick<Host, "sh">): Promise<string> => host.sh(PACK);

/** Hands the image to the daemon. */
export const importImage = (host: Host): Promise<string> => host.sh(`${CLIENT} docker import ~/image.tar ${IMAGE}`);

function expect(what: string, found: unknown, wanted: unknown): void {
  const [left, right] = [found, wanted].map((value) =>
    typeof value === "string" ? value.trim() : JSON.stringify(value),
  );
  if (left !== right) throw new Error(`${what}: ${left || "nothing"} instead of ${right}`);
}

type Check = (docker: (args: string) => Promise<string>, host: Host, cell: Cell) => Promise<void>;

/** What is tried with a daemon, in this order; each throws when it is not as it should be. */
const checks: Readonly<Record<string, Check>> = {
  async info(docker, _, { storage }) {
    const { Driver, SecurityOptions } = JSON.parse(await docker("info --format '{{json .}}'"));
    expect("storage driver", Driver, storage);
    expect("name=rootless", SecurityOptions.includes("name=rootless"), true);
  },

  async version(docker, host, cell) {
    const { Components, Version } = JSON.parse(await docker("version --format '{{json .Server}}'"));
    // dockerd asks RootlessKit about itself since version 23.
    if (Number.parseInt(Version, 10) < 23) return;
    const { Details = {} } = Components.find(({ Name }: { Name: string }) => Name === "rootlesskit") ?? {};
    expect("the component rootlesskit's network", Details.NetworkDriver, cell.net);
    // Nothing drives pasta's own forwarding: RootlessKit tells of no driver then.
    const driver = portDriver(host, cell);
    expect("the component rootlesskit's port driver", Details.PortDriver, driver === "implicit" ? undefined : driver);
  },

  async import(_, host) {
    await importImage(host);
  },

  async run(docker) {
    expect("output", await docker(`run --rm ${IMAGE} sh -c 'echo from inside; id -u'`), "from inside\n0");
  },

  async publish(docker, host) {
    const serve = `mkdir -p /www; echo the page >/www/index.html; httpd -p 80 -h /www; ${STAYS}`;
    await docker(`run -d --name web -p 8080:80 ${IMAGE} sh -c '${serve}'`);
    for (const address of ["127.0.0.1", ADDRESS]) {
      expect(`the page at ${address}`, await fetched(host, `http://${address}:8080/`), "the page");
    }
  },

  async "publish udp"(docker, host) {
    await docker(`run -d --name echo -p 8081:7/udp ${IMAGE} socat UDP-LISTEN:7,fork EXEC:cat`);
    const ask = `echo ping | socat -t 1 - UDP:127.0.0.1:8081`;
    // A datagram that nobody waits for yet is lost.
    await until(async () => (await host.sh(ask)).trim() === "ping", { what: "an answer by UDP", every: 100 });
    await docker("rm -f echo");
  },

  async build(docker, host) {
    await host.sh(`mkdir -p ~/build; printf 'FROM ${IMAGE}\\nRUN echo built >/built\\nCMD ["cat", "/built"]\\n' \\
      >~/build/Dockerfile`);
    // Without its plugin there is the old builder alone, for which some clients must be told.
    const buildkit = `DOCKER_BUILDKIT=$(docker buildx version >/dev/null 2>&1 && echo 1 || echo 0)`;
    await host.sh(`${CLIENT} export ${buildkit}; docker build -t built ~/build`, 60_000);
    expect("output", await docker("run --rm built"), "built");
  },

  async "bind mount"(docker, host) {
    await host.sh("mkdir -p ~/shared; echo outside >~/shared/there");
    const script = "cat /shared/there; echo inside >/shared/back";
    expect("what it reads", await docker(`run --rm -v ~/shared:/shared ${IMAGE} sh -c '${script}'`), "outside");
    expect("what it wrote", await host.sh("cat ~/shared/back; stat -c %U ~/shared/back"), "inside\ntestuser");
  },

  async "net=host"(docker) {
    const text = await docker(`run --rm --net=host ${IMAGE} ip addr`);
    expect("mtu of tap0", /tap0:.* mtu (\d+)/.exec(text)?.[1], "65520");
  },

  async volume(docker) {
    await docker(`run --rm -v data:/data ${IMAGE} sh -c 'echo kept >/data/file'`);
    expect("what the second run finds", await docker(`run --rm -v data:/data ${IMAGE} cat /data/file`), "kept");
  },

  async stop(docker, host) {
    await docker("stop web");
    expect("web runs", await docker("inspect --format '{{.State.Running}}' web"), "false");
    // Ports are taken back a little later by pasta, which looks for them every second.
    const isClosed = () => host.sh("! curl -sf -m 2 http://127.0.0.1:8080/").then(() => true);
    await until(isClosed, { what: "the end of the published port", deadline: 3000 });
  },

  /** One container is to run when the daemon is told to stop. */
  async start(docker) {
    await docker(`run -d --name stays ${IMAGE} sh -c '${STAYS}'`);
  },
};

/** A page of a published port, which may open a little later than its container starts. */
const fetched = (host: Host, url: string): Promise<string> =>
  host.sh(`curl -sS --retry 20 --retry-delay 1 --retry-max-time 5 --retry-all-errors -m 5 ${url}`);

/** Tries everything; what failed, a line each. */
export async function tryAll(host: Host, cell: Cell): Promise<string[]> {
  const docker = (args: string) => host.sh(`${CLIENT} docker ${args}`);
  const failed: string[] = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check(docker, host, cell);
    } catch (error) {
      failed.push(`${name}: ${reason(error)}`);
    }
  }
  return failed;
}

/** An error with what it came from, in one line. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : ` (${reason(error.cause)})`;
  return `${error.message}${cause}`.replaceAll(/\s+/g, " ").trim();
}
