import { expect, test } from "vitest";
import type { InstallFacts } from "./facts.ts";
import { systemLayout, userLayout } from "./layout.ts";
import { type PlanOptions, type Programs, planInstall } from "./plan.ts";
import type { Step } from "./step.ts";

const facts: InstallFacts = {
  user: { name: "alice", uid: 1000, gid: 1000, home: "/home/alice" },
  runtimeDir: "/run/user/1000",
  isRuntimeDirPrivate: false,
  own: [
    { name: "rlkit", path: "/opt/rlkit/bin/rlkit" },
    { name: "rootlesskit", path: "/opt/rlkit/bin/rootlesskit" },
  ],
  node: undefined,
  programDirs: ["/nix/bin"],
  docker: "/usr/bin/docker",
  dockerConfig: "/home/alice/.docker/config.json",
  currentContext: "work",
  init: "systemd",
  lingers: false,
  subids: { uid: "bob:100000:65536\n", gid: undefined },
};
const unpacked: Programs = {
  directory: "/home/alice/.local/share/rlkit/install/current",
  names: ["docker", "dockerd", "rootlesskit"],
  version: "27.3.1",
  onPath: false,
};
const onPath: Programs = { directory: "/usr/sbin", names: ["dockerd"], version: undefined, onPath: true };
const options: PlanOptions = { socket: false, context: true, shellProfile: undefined, dockerdArgs: [], instances: [] };
const mine = userLayout({ home: "/home/alice", env: {}, bin: undefined });

/** A step in a few words. */
function brief(step: Step): string {
  if (step.do === "command") return `run ${step.argv.join(" ")}`;
  return step.do === "link" ? `link ${step.path} ${step.target}` : `${step.do} ${step.path}`;
}
const steps = (...args: Parameters<typeof planInstall>): string[] => planInstall(...args).steps.map(brief);
const file = (plan: ReturnType<typeof planInstall>, name: string): string =>
  plan.steps.flatMap((step) => (step.do === "file" && step.path.endsWith(name) ? [step.content] : []))[0] ?? "";

test("a version for a user: the link to it first, then its programs, the unit, and what makes clients find it", () => {
  const store = "/home/alice/.local/share/rlkit/install";
  expect(steps(mine, facts, unpacked, options)).toEqual([
    `link ${store}/current ${store}/versions/27.3.1`,
    "link /home/alice/bin/rlkit /opt/rlkit/bin/rlkit",
    "link /home/alice/bin/rootlesskit /opt/rlkit/bin/rootlesskit",
    `link /home/alice/bin/docker ${store}/current/docker`,
    `link /home/alice/bin/dockerd ${store}/current/dockerd`,
    "file /home/alice/.config/systemd/user/docker.service",
    "file /home/alice/.config/systemd/user/rlkit@.service",
    "directory /home/alice/.config/systemd/user/default.target.wants",
    "run systemctl --user enable docker.service",
    "file /home/alice/.config/environment.d/60-rlkit.conf",
    "directory /home/alice/.docker",
    "directory /home/alice/.docker/contexts",
    "directory /home/alice/.docker/contexts/meta",
    "settings /home/alice/.docker/config.json",
    "run /home/alice/bin/docker --context=default context create rootless --docker host=unix:///run/user/1000/docker.sock --description Rootless mode",
    "run /home/alice/bin/docker --context=default context use rootless",
  ]);
});

test("the context that was in use comes back with uninstall", () => {
  const undone = planInstall(mine, facts, unpacked, options).steps.flatMap((step) =>
    step.do === "command" ? [step.undo?.at(-1)] : [],
  );
  expect(undone).toEqual(["docker.service", "rootless", "work"]);
});

test("programs that are on PATH stay where they are, and the service finds them and what they need there", () => {
  const plan = planInstall(mine, facts, onPath, options);
  expect(plan.steps.filter((step) => step.do === "link")).toEqual([]);
  const path = "/usr/sbin:/nix/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/sbin";
  expect(file(plan, "docker.service")).toContain(`Environment=PATH=${path}\n`);
  expect(file(plan, "60-rlkit.conf")).not.toMatch(/^PATH=/m);
  expect(plan.shellLines).toEqual(["export DOCKER_HOST=unix:///run/user/1000/docker.sock"]);
});

test("Node from elsewhere is named to the service", () => {
  const plan = planInstall(mine, { ...facts, node: "/home/alice/.nvm/node 22/bin/node" }, onPath, options);
  expect(file(plan, "docker.service")).toContain('Environment="RLKIT_NODE=/home/alice/.nvm/node 22/bin/node"\n');
});

test("with a socket, that is what is enabled and started", () => {
  const plan = planInstall(mine, facts, onPath, { ...options, socket: true });
  expect(plan.start).toEqual(["systemctl", "--user", "start", "docker.socket"]);
  expect(plan.steps.map(brief)).toEqual(
    expect.arrayContaining([
      "file /home/alice/.config/systemd/user/docker.socket",
      "run systemctl --user enable docker.socket",
    ]),
  );
});

test("an instance has its unit enabled, and a context", () => {
  const plan = planInstall(mine, facts, unpacked, { ...options, instances: ["ci"] });
  const own = plan.steps.filter((step) => step.do === "command" && step.instance === "ci");
  expect(own.map(brief)).toEqual([
    "run systemctl --user enable rlkit@ci.service",
    "run /home/alice/bin/docker --context=default context create rlkit-ci --docker host=unix:///run/user/1000/docker-ci.sock --description Rootless mode",
  ]);
  expect(own.map((step) => step.do === "command" && step.undo?.join(" "))).toEqual([
    "systemctl --user disable --now rlkit@ci.service",
    "/home/alice/bin/docker --context=default context rm -f rlkit-ci",
  ]);
  expect(plan.start?.join(" ")).toBe("systemctl --user start docker.service rlkit@ci.service");
});

test("for all the machine: sub-ids that nobody has, lingering, the unit, and nothing in the user's home", () => {
  const layout = systemLayout(undefined);
  const manager = "runuser -u alice -- env HOME=/home/alice XDG_RUNTIME_DIR=/run/user/1000 systemctl --user";
  const plan = planInstall(layout, facts, onPath, options);
  expect(plan.steps.map(brief)).toEqual([
    "run usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice",
    "run loginctl enable-linger alice",
    "run systemctl start user@1000.service",
    "file /etc/systemd/user/docker.service",
    "file /etc/systemd/user/rlkit@.service",
    `run ${manager} enable docker.service`,
  ]);
  expect(plan.shellLines).toEqual([]);
});

test("a user who has sub-ids gets no more", () => {
  const subids = { uid: "alice:1:65536\n", gid: "1000:1:65536\n" };
  expect(steps(systemLayout(undefined), { ...facts, subids }, onPath, options).join()).not.toContain("usermod");
});

test.each([
  ["openrc", ["/home/alice/.config/rc/init.d/docker"], "rc-update --user add docker default"],
  ["runit", ["/home/alice/.config/runit/sv/docker/run", "/home/alice/.config/runit/sv/docker/check"], "your runsvdir"],
  [
    "s6",
    ["run", "notification-fd", "timeout-kill"].map((name) => `/home/alice/.config/s6/sv/docker/${name}`),
    "s6-svscan",
  ],
  ["none", [], "rlkit run --wait -- dockerd"],
] as const)("%s", (init, files, note) => {
  const plan = planInstall(mine, { ...facts, init }, onPath, { ...options, context: false });
  const made = plan.steps.filter((step) => step.do !== "leavings" && step.do !== "directory");
  expect(made.map(brief)).toEqual(files.map((path) => `file ${path}`));
  expect(plan.notes.join("\n")).toContain(note);
});

test("a profile of fish has fish's words", () => {
  const plan = planInstall(mine, facts, unpacked, { ...options, shellProfile: "/home/alice/x.fish" });
  const block = plan.steps.find((step) => step.do === "block");
  expect(block).toMatchObject({
    text: expect.stringContaining("\nset -gx DOCKER_HOST 'unix:///run/user/1000/docker.sock'\n"),
  });
  expect(plan.shellLines).toEqual([]);
});

test("without a docker client there is no context, and that is said", () => {
  const plan = planInstall(mine, { ...facts, docker: undefined }, onPath, options);
  expect(plan.steps.some(({ do: what }) => what === "settings")).toBe(false);
  expect(plan.notes).toContain("there is no docker client, so no context is made for it");
});
