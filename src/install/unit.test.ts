import { expect, test } from "vitest";
import { openrcScript, runitFiles, s6Files } from "./init-scripts.ts";
import {
  dockerService,
  dockerSocket,
  instanceService,
  type Service,
  serviceCommand,
  unitAssignment,
  unitWord,
} from "./unit.ts";

const service: Service = {
  rlkit: "/opt/rlkit/bin/rlkit",
  dockerdArgs: [],
  env: { PATH: "/home/a/bin:/usr/bin" },
  socket: false,
};
const user = { name: "alice", uid: 1000, gid: 100, home: "/home/alice" };

/** The settings of a unit, in their order. */
const settings = (unit: string): string[] => unit.split("\n").filter((line) => /^[A-Z]\w*=|^\[/.test(line));

test("docker.service: readiness, watchdog, delegation, reload and how it ends", () => {
  const found = settings(dockerService(service));
  for (const line of [
    "Type=notify",
    "NotifyAccess=main",
    "WatchdogSec=60",
    "Delegate=yes",
    "KillMode=mixed",
    "Restart=on-failure",
    "ExecReload=/bin/kill -s HUP $MAINPID",
    "ExecStart=/opt/rlkit/bin/rlkit run -- dockerd",
    "Environment=PATH=/home/a/bin:/usr/bin",
    "WantedBy=default.target",
  ]) {
    expect(found).toContain(line);
  }
});

test("rlkit@.service is the same for the instance behind the @, which has no socket unit", () => {
  const found = settings(instanceService({ ...service, socket: true, dockerdArgs: ["--label=50%"] }));
  expect(found).toContain("Description=Docker (rootless, instance %i, run by rlkit)");
  expect(found).toContain("ExecStart=/opt/rlkit/bin/rlkit run --instance=%i -- dockerd --label=50%%");
  expect(found.filter((line) => line.includes("docker.socket"))).toEqual([]);
  const differing = settings(dockerService(service)).filter((line) => !found.includes(line));
  expect(differing.map((line) => line.split("=")[0])).toEqual(["Description", "ExecStart"]);
});

test("nothing in docker.service takes newuidmap its set-user-id bit, or makes a namespace around it", () => {
  const harmful =
    /^(NoNewPrivileges|Private\w+|Protect\w+|Restrict\w+|SystemCall\w+|LockPersonality|MemoryDenyWriteExecute|RootDirectory|DynamicUser|User|CapabilityBoundingSet)=/;
  expect(settings(dockerService(service)).filter((line) => harmful.test(line))).toEqual([]);
});

test("with a socket, dockerd takes what systemd listens on", () => {
  const unit = dockerService({ ...service, socket: true });
  expect(settings(unit)).toEqual(expect.arrayContaining(["Requires=docker.socket", "After=docker.socket"]));
  expect(unit).toContain("ExecStart=/opt/rlkit/bin/rlkit run -- dockerd --host=fd://\n");
  expect(settings(dockerSocket())).toEqual([
    "[Unit]",
    "Description=Docker's API (rootless)",
    "[Socket]",
    "ListenStream=%t/docker.sock",
    "SocketMode=0600",
    "RemoveOnStop=yes",
    "[Install]",
    "WantedBy=sockets.target",
  ]);
});

test.each([
  ["/usr/bin/x", "/usr/bin/x"],
  ["/home/a b/x", '"/home/a b/x"'],
  ["100%", "100%%"],
  ["$HOME", "$$HOME"],
  ['a"b\\', '"a\\"b\\\\"'.replace("a\\", "a\\")],
  ["a;b", '"a;b"'],
])("%j is %s on a command line of a unit", (word, written) => {
  expect(unitWord(word)).toBe(written);
});

test("a value of Environment= keeps its $, and doubles %", () => {
  expect(unitAssignment("PATH", "/a $b/%c")).toBe('"PATH=/a $b/%%c"');
});

test("dockerd's own arguments follow dockerd, rlkit's come before", () => {
  const args = serviceCommand({ ...service, dockerdArgs: ["--storage-driver", "vfs"] }, ["--ready-fd=3"]);
  expect(args.slice(1)).toEqual(["run", "--ready-fd=3", "--", "dockerd", "--storage-driver", "vfs"]);
});

test("OpenRC: the user's own, and one that becomes the user", () => {
  const own = openrcScript({ ...service, dockerdArgs: ["--label=it's"] }, "/home/a/docker.log");
  expect(own).toMatch(/^#!\/sbin\/openrc-run\n/);
  expect(own).not.toContain("command_user");
  expect(own).toContain("supervisor=supervise-daemon\n");
  const system = openrcScript(service, "/var/log/docker-alice.log", user);
  expect(system).toContain("command_user=alice:100\n");
  expect(own).toContain("\noutput_log=/home/a/docker.log\nerror_log=/home/a/docker.log\n");
  expect(system).toContain("checkpath --file --mode 0600 --owner 1000:100 /var/log/docker-alice.log\n");
  expect(system).toContain("checkpath --directory --mode 0700 --owner 1000:100 /run/user/1000\n");
  expect(system).toMatch(/^supervise_daemon_args=.*--env '\\''XDG_RUNTIME_DIR=\/run\/user\/1000'/m);
  expect(system).not.toContain("PATH=/home/a/bin:/usr/bin\n"); // without its own, OpenRC does not find its commands
});

test("runit: run and check; with a user, root makes the runtime directory first", () => {
  const [run, check] = runitFiles("/sv/docker", service, user);
  expect(run).toMatchObject({ path: "/sv/docker/run", mode: 0o755 });
  expect(run?.content).toMatch(
    /chown 1000:100 \/run\/user\/1000.*\n(.*\n)*exec chpst -u alice \/opt\/rlkit\/bin\/rlkit run -- dockerd\n$/,
  );
  expect(check?.content).toContain("exec chpst -u alice /opt/rlkit/bin/rlkit wait --timeout=1s 2>/dev/null\n");
});

test("s6: rlkit writes to the descriptor that notification-fd names", () => {
  const files = Object.fromEntries(s6Files("/s", service).map(({ path, content }) => [path, content]));
  expect(files["/s/run"]).toContain("exec /opt/rlkit/bin/rlkit run --ready-fd=3 -- dockerd\n");
  expect(files["/s/notification-fd"]).toBe("3\n");
});
