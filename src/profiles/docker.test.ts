import { describe, expect, test } from "vitest";
import { dockerFacts, dockerPlan, names, operations, step } from "../../test/helpers/plans.ts";
import type { DockerFacts } from "../host/docker-facts.ts";
import type { HostFacts } from "../host/facts.ts";

describe("dockerd's plan", () => {
  const target = (argv: readonly string[], docker: Partial<DockerFacts> = {}, changed: Partial<HostFacts> = {}) =>
    step(dockerPlan(argv, docker, changed).steps, "start-target");

  test("rslave, /etc and /run copied up, forwarding, no stale links of root's Docker", () => {
    const { steps, stateDir } = dockerPlan(["dockerd"]);
    expect(stateDir).toBe("/run/user/1001/dockerd-rootless");
    expect(operations(steps, "mount").filter(([, , path, type]) => type === "tmpfs" && path !== "/tmp")).toEqual([
      ["mount", "none", "/etc", "tmpfs", 0, ""],
      ["mount", "none", "/run", "tmpfs", 0, ""],
    ]);
    const unlinked = operations(steps, "unlink").map(([, path]) => path);
    expect(unlinked).toEqual(expect.arrayContaining(["/run/docker", "/run/containerd", "/run/xtables.lock"]));
    const writes = steps.filter((each) => each.do === "inside" && each.op[0] === "write_file");
    expect(writes).toMatchObject([
      { op: ["write_file", "/proc/sys/net/ipv4/ip_forward", 1, 0, "1"], onFailure: "stop" },
      { op: ["write_file", "/proc/sys/net/ipv6/conf/all/forwarding", 1, 0, "1"], onFailure: "ignore" },
    ]);
  });

  test("pid files of another pid namespace are removed, and no others", () => {
    const unlinked = (argv: readonly string[]) => operations(dockerPlan(argv).steps, "unlink").map(([, path]) => path);
    expect(unlinked(["--pidns", "dockerd"])).toEqual(expect.arrayContaining([...dockerFacts.settings.pidFiles]));
    expect(unlinked(["dockerd"])).not.toContain(dockerFacts.settings.pidFiles[0]);
  });

  test("where SELinux is in force /run gets the label that iptables needs, and dockerd is told", () => {
    const { steps } = dockerPlan(["dockerd"], { selinux: true });
    expect(step(steps, "execute").argv).toEqual(["chcon", "system_u:object_r:iptables_var_run_t:s0", "/run"]);
    expect(step(steps, "start-target").env).toContain("_DOCKERD_ROOTLESS_SELINUX=1");
    expect(names(dockerPlan(["dockerd"]).steps)).not.toContain("execute");
  });

  test("a detached network namespace is for a dockerd that knows of it", () => {
    const detached = (major: number, minor: number) => () =>
      dockerPlan(["--detach-netns", "dockerd"], { version: { major, minor } });
    expect(detached(28, 5)).toThrow("--detach-netns needs dockerd 29.5 or later, and this one is 28.5");
    expect(detached(29, 4)).toThrow("29.4");
    expect(operations(detached(29, 5)().steps, "detach_netns")).toHaveLength(1);
    expect(operations(detached(30, 0)().steps, "detach_netns")).toHaveLength(1);
  });

  test("its clients are told where it is", () => {
    expect(dockerPlan(["dockerd"]).profile.clientEnv).toEqual({
      XDG_RUNTIME_DIR: "/run/user/1001",
      DOCKER_HOST: "unix:///run/user/1001/docker.sock",
    });
  });

  test("the environment: where its state is, whose it is, and the directories it needs on PATH", () => {
    const { env } = target(["dockerd"]);
    for (const entry of [
      "HOME=/home/alice",
      "XDG_RUNTIME_DIR=/run/user/1001",
      "ROOTLESSKIT_STATE_DIR=/run/user/1001/dockerd-rootless",
      "ROOTLESSKIT_PARENT_EUID=1001",
      "ROOTLESSKIT_PARENT_EGID=1001",
      expect.stringMatching(/^PATH=.*:\/usr\/bin:\/usr\/sbin:\/sbin$/),
    ]) {
      expect(env).toContainEqual(entry);
    }
  });

  test.each([
    ["by default", [], {}, ["--mtu=65520"]],
    ["as --mtu says", ["--mtu=1400"], {}, ["--mtu=1400"]],
    ["not where dockerd is told already", [], { settings: { ...dockerFacts.settings, mtu: true } }, []],
    ["not without a helper", ["--net=none"], {}, []],
  ])("containers get the tap's MTU, %s", (_, options, docker, added) => {
    const { argv } = target(["--live-restore=false", ...options, "dockerd", "--debug"], docker);
    expect(argv).toEqual(["dockerd", "--debug", ...added]);
  });

  describe("the storage driver", () => {
    const isChosen = (docker: Partial<DockerFacts>) =>
      names(dockerPlan(["dockerd"], docker).steps).includes("choose-storage");

    test.each<[string, Partial<DockerFacts>, boolean]>([
      ["is chosen", {}, true],
      ["is chosen for a dockerd that doesn't say which version it is", { version: undefined }, true],
      ["is chosen for 28", { version: { major: 28, minor: 5 } }, true],
      ["is left to dockerd 29, which chooses well", { version: { major: 29, minor: 0 } }, false],
      ["is the user's own", { settings: { ...dockerFacts.settings, storageDriver: true } }, false],
      ["is the one whose data is there", { priorStorage: "overlay2" }, false],
    ])("%s", (_, docker, chosen) => {
      expect(isChosen(docker)).toBe(chosen);
    });

    test("is tried on the data root, and fuse-overlayfs only where it is installed", () => {
      expect(step(dockerPlan(["dockerd"]).steps, "choose-storage")).toMatchObject({
        dataRoot: "/home/alice/.local/share/docker",
        candidates: ["overlay2", "fuse-overlayfs", "btrfs", "vfs"],
      });
      const without = dockerPlan(["dockerd"], { fuseOverlayfs: false });
      expect(step(without.steps, "choose-storage").candidates).toEqual(["overlay2", "btrfs", "vfs"]);
    });

    test("is tried where all mounts are made, before the target", () => {
      const order = names(dockerPlan(["dockerd"]).steps);
      expect(order.indexOf("choose-storage")).toBeGreaterThan(order.lastIndexOf("mount"));
    });

    test("vfs is passed on, with a warning, where its images are: dockerd itself would pass over them", () => {
      expect(target(["dockerd"], { priorStorage: "vfs" }).argv).toContain("--storage-driver=vfs");
      expect(target(["dockerd"], { priorStorage: "overlay2" }).argv.join()).not.toContain("--storage-driver");
      const { notes } = dockerPlan(["dockerd"], { priorStorage: "vfs" }).profile;
      expect(notes).toContainEqual({ level: "warn", text: expect.stringContaining("vfs") });
    });
  });

  test.each([
    ["found", "it is yours and private"],
    ["private", "there is no /run/user directory of yours"],
  ] as const)("says that XDG_RUNTIME_DIR was %s", (origin, why) => {
    const { notes } = dockerPlan(["dockerd"], { runtimeDir: { path: "/some/dir", origin } }).profile;
    expect(notes).toEqual([{ level: "info", text: `XDG_RUNTIME_DIR was not set; using /some/dir: ${why}` }]);
  });

  test.each([
    ["environment", []],
    ["found", []],
    ["private", ["make-private-dir"]],
  ] as const)("makes the runtime directory before anything else only where it is its own: %s", (origin, made) => {
    const { steps } = dockerPlan(["dockerd"], { runtimeDir: { path: "/home/alice/.docker/run", origin } });
    const order = names(steps);
    expect(order.slice(0, order.indexOf("lock-state-dir"))).toEqual(made);
  });

  test("says once that mounts of the host don't come through where / is not shared", () => {
    const { notes } = dockerPlan(["dockerd"], {}, { rootShared: false }).profile;
    expect(notes).toEqual([{ level: "info", text: expect.stringContaining("/ is not shared") }]);
    expect(dockerPlan(["dockerd"]).profile.notes).toEqual([]);
  });
});
