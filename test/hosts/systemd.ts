import { until } from "../helpers/wait.ts";
import { packImage } from "./checks.ts";
import { type BootedHost, bootHost, RLKIT } from "./host.ts";

/** How long dockerd may take to end with three containers running. Seconds. */
const STOP_WITHIN = 10;

/** Tarballs as Docker's own, from the host's packages: ~/docker-0.0.0.tgz and the rootless extras. */
export const PACK_DOCKER = `
  mkdir -p ~/pack/docker ~/pack/docker-rootless-extras
  for name in dockerd docker containerd containerd-shim-runc-v2 ctr runc docker-proxy; do
    cp -L "$(PATH=$PATH:/usr/libexec/docker command -v $name)" ~/pack/docker
  done
  cp -L "$(command -v docker-init || command -v tini-static || command -v tini)" ~/pack/docker/docker-init
  cp -L "$(command -v rootlesskit)" ~/pack/docker-rootless-extras
  version=$(dockerd --version | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)
  tar -C ~/pack -czf ~/docker-$version.tgz docker
  tar -C ~/pack -czf ~/docker-rootless-extras-$version.tgz docker-rootless-extras
  rm -r ~/pack`;

/** Everything of the user's, but for what the test has put there. */
const FILES = "cd; find . -mindepth 1 -not -path './image*' -not -name '*.tgz' -not -path './.docker/buildx*' | sort";

const PUBLISHED = "docker run -d --init -p 8080:80 --restart unless-stopped --name web cell httpd -f -p 80 -h /bin";

/**
 * What a user does on a machine with systemd, from `rlkit install` to `rlkit uninstall`, with a reboot in between. Resolves to what was
 * not as it should be, a line each.
 */
export async function trySystemd(suite: string): Promise<string[]> {
  await using host = await bootHost(suite);
  const failed: string[] = [];
  const step = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    if (failed.length > 0) return; // what follows would fail as well, and say nothing
    await act().catch((error: Error) => failed.push(`${what}: ${error.message}`));
  };
  const user = (command: string, deadline?: number) =>
    host.session(`export PATH=$HOME/bin:$PATH; ${command}`, deadline);
  await host.root("sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647");
  await packImage({ sh: user });
  await user(PACK_DOCKER);
  const before = await user(FILES);

  await step("install", () => user(`${RLKIT}/bin/rlkit install $(printf -- '--from %s ' ~/docker*.tgz)`, 60_000));
  await step("start", () => user("systemctl --user start docker", 60_000));
  await step("docker info", async () => {
    const options = await user("docker info --format '{{json .SecurityOptions}}'");
    if (!options.includes("name=rootless")) throw new Error(options);
  });
  await step("status", async () => {
    const status = await user("systemctl --user status docker");
    if (!/Status: "dockerd .* ready/.test(status)) throw new Error(status.split("\n").slice(0, 8).join(" "));
  });
  await step("run", () => user("docker import ~/image.tar cell && docker run --rm cell sh -c :"));
  await step("publish", () => user(`${PUBLISHED} && ${FETCH}`));
  await step("reload", () => user("systemctl --user reload docker && docker ps"));
  await step("reboot", async () => {
    await host.reboot();
    await until(() => answers(user), { what: "the container after a reboot", deadline: 60_000, every: 500 });
  });
  await step("an instance beside it", async () => {
    await user("rlkit install --instance=ci --now", 60_000);
    const root = await user('docker --context=rlkit-ci info --format "{{.DockerRootDir}}"');
    if (!root.trim().endsWith("/docker-ci")) throw new Error(root);
    await user("rlkit uninstall --instance=ci --purge", 60_000);
    const left = await user(
      "ls -d ~/.local/share/docker-ci; docker context ls -q | grep rlkit-ci; pgrep -f '[i]nstance=ci' || :",
    );
    if (left !== "") throw new Error(left);
  });
  await step("three containers", () =>
    user("for i in 1 2 3; do docker run -d --init --name c$i cell sleep 1000 || exit; done"),
  );
  await step("stop", () => stopInTime(user));
  await step("uninstall", async () => {
    await user("rlkit uninstall --purge", 60_000);
    const left = (await user(FILES)).split("\n").filter((line) => !before.split("\n").includes(line));
    if (left.some(Boolean)) throw new Error(`left: ${left.join(", ")}`);
  });
  await step("a check without a session", () => checkWithoutSession(host));
  return failed;
}

const FETCH =
  "for i in $(seq 50); do curl -sf http://127.0.0.1:8080/busybox -o /dev/null && exit 0; sleep 0.1; done; exit 1";

async function answers(user: BootedHost["session"]): Promise<boolean> {
  return await user(FETCH).then(
    () => true,
    () => false,
  );
}

async function stopInTime(user: BootedHost["session"]): Promise<void> {
  const took = await user(
    "begin=$(date +%s%N); systemctl --user stop docker; echo $((($(date +%s%N) - begin) / 1000000))",
    60_000,
  );
  if (Number(took) > STOP_WITHIN * 1000) throw new Error(`it took ${took.trim()} ms`);
  const journal = await user("journalctl --user --unit=docker --no-pager 2>&1 | grep -c 'Killing process' || :");
  if (Number(journal) !== 0) throw new Error(`systemd had to kill ${journal.trim()} processes`);
}

/** Without lingering, and by su, there is no session: the check says so, and nothing else. */
async function checkWithoutSession(host: BootedHost): Promise<void> {
  await host.root("loginctl", "disable-linger", "testuser");
  await host.root("systemctl", "stop", "user@1000.service");
  const report = JSON.parse(await host.su(`${RLKIT}/bin/rlkit check --json || :`)) as {
    checks: { id: string; verdict: string }[];
  };
  const named = report.checks.filter(({ verdict }) => verdict === "failure").map(({ id }) => id);
  // Which of the two depends on the release: some set XDG_RUNTIME_DIR all the same.
  if (!/^(runtime-dir|systemd-user)$/.test(named.join())) throw new Error(`it names ${named.join(", ") || "nothing"}`);
}
