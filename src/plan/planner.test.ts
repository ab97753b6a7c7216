import { describe, expect, test } from "vitest";
import { dockerPlan, facts, ids, names, operations, plan, step } from "../../test/helpers/plans.ts";
import { Clone, Mount } from "./operations.ts";
import { printAction } from "./print.ts";

describe("the order", () => {
  test.each(["slirp4netns", "pasta", "none", "host"])("begins with the lock and the id maps, --net=%s", (net) => {
    expect(names(plan([`--net=${net}`, "ls"]).steps).slice(0, 4)).toEqual([
      "lock-state-dir",
      "start-init",
      "unshare",
      "write-id-maps",
    ]);
  });

  test.each(["slirp4netns", "pasta", "none"])("ends with child_pid and the API before the target, --net=%s", (net) => {
    expect(names(plan([`--net=${net}`, "ls"]).steps).slice(-3)).toEqual([
      "write-child-pid",
      "listen-api",
      "start-target",
    ]);
    const daemon = names(dockerPlan([`--net=${net}`, "dockerd"]).steps).slice(-4);
    expect(daemon).toEqual(["write-child-pid", "listen-api", "listen-notify", "start-target"]);
  });

  test("a helper starts after the maps, and its readiness is awaited after the mounts", () => {
    const order = names(plan(["--net=slirp4netns", "ls"]).steps);
    const at = (name: string) => order.indexOf(name);
    expect(at("write-id-maps")).toBeLessThan(at("tap"));
    expect(at("tap")).toBeLessThan(at("start-helper"));
    expect(at("start-helper")).toBeLessThan(at("mount"));
    expect(at("mount")).toBeLessThan(at("await-helper"));
    expect(at("await-helper")).toBeLessThan(at("addr_add"));
    expect(at("addr_add")).toBeLessThan(at("start-target"));
  });

  test("the propagation is set before any other mount", () => {
    const [first] = operations(dockerPlan(["dockerd"]).steps, "mount");
    expect(first).toEqual(["mount", "none", "/", "", Mount.slave | Mount.recursive, ""]);
  });

  test("the same options and facts give the same plan", () => {
    expect(dockerPlan(["dockerd"])).toEqual(dockerPlan(["dockerd"]));
  });

  test("every step says why, and can be printed", () => {
    for (const each of dockerPlan(["--pidns", "--cgroupns", "--ipv6", "dockerd"]).steps) {
      expect(each.why).toMatch(/\w{2}/);
      expect(printAction(each)).toMatch(/\w{2}/);
    }
  });
});

describe("namespaces", () => {
  const flags = (...argv: string[]) => operations(plan([...argv, "ls"]).steps, "unshare").map(([, value]) => value);

  test("are named in the reason", () => {
    const why = (...argv: string[]) => plan([...argv, "ls"]).steps[2]?.why;
    expect(why()).toBe("new namespaces: user, mount, network");
    expect(why("--net=host", "--utsns", "--ipcns", "--cgroupns")).toBe("new namespaces: user, mount, UTS, IPC, cgroup");
  });

  test.each([
    [[], Clone.user | Clone.mount | Clone.net],
    [["--net=none"], Clone.user | Clone.mount | Clone.net],
    [["--net=host"], Clone.user | Clone.mount],
    [["--net=host", "--utsns"], Clone.user | Clone.mount | Clone.uts],
    [["--net=host", "--ipcns", "--cgroupns"], Clone.user | Clone.mount | Clone.ipc | Clone.cgroup],
  ])("%j", (options, expected) => {
    expect(flags(...options)).toEqual([expected]);
  });

  test("--pidns: unshared on its own, init forks into it, and /proc is mounted anew before the other mounts", () => {
    const { steps } = plan(["--net=none", "--pidns", "ls"]);
    expect(flags("--net=none", "--pidns")).toEqual([Clone.user | Clone.mount | Clone.net, Clone.pid]);
    const order = names(steps);
    expect(order.slice(3, 7)).toEqual(["write-id-maps", "unshare", "fork_pid1", "mount"]);
    expect(operations(steps, "mount")[0]?.slice(0, 4)).toEqual(["mount", "proc", "/proc", "proc"]);
  });

  test("a helper is started for the process that went on as pid 1", () => {
    const order = names(plan(["--pidns", "ls"]).steps);
    expect(order.indexOf("fork_pid1")).toBeLessThan(order.indexOf("start-helper"));
  });

  test.each([true, false])(
    "the cgroup namespace's own tree is mounted where all is cgroup version 2: %s",
    (cgroup2) => {
      const mounts = operations(plan(["--net=none", "--cgroupns", "ls"], { cgroup2 }).steps, "mount");
      expect(mounts.some(([, , , type]) => type === "cgroup2")).toBe(cgroup2);
    },
  );
});

describe("the id maps", () => {
  test("are the own id and the delegated ranges, by the tools that were found", () => {
    const map = [
      { inside: 0, outside: 1001, length: 1 },
      { inside: 1, outside: 100000, length: 65536 },
    ];
    expect(step(plan(["ls"]).steps, "write-id-maps")).toMatchObject({
      uid: map,
      gid: map,
      tools: { newuidmap: "/usr/bin/newuidmap", newgidmap: "/usr/bin/newgidmap" },
    });
  });

  test("init becomes root only where the own id is not root in the maps", () => {
    expect(operations(plan(["ls"]).steps, "set_ids")).toEqual([]);
    const own = ["--uid-map=0:1001:1", "--gid-map=0:1001:1", "ls"];
    expect(operations(plan(own).steps, "set_ids")).toEqual([]);
    const other = ["--uid-map=0:100000:10", "--gid-map=0:100000:10", "ls"];
    expect(operations(plan(other).steps, "set_ids")).toEqual([["set_ids", 0, 0]]);
  });

  const none = {
    uid: { ...ids, delegated: { ranges: [], from: "" } },
    gid: { ...ids, delegated: { ranges: [], from: "" } },
  };

  test.each([
    ["no sub-ids", { ids: none }, "SUBID_NONE"],
    ["no newuidmap", { newuidmap: undefined }, "IDMAP_TOOL"],
    ["no_new_privs", { noNewPrivs: true }, "NO_NEW_PRIVS"],
  ])("%s: there is no plan", (_, changed, code) => {
    const act = () => plan(["ls"], { ids: { ...facts.ids, ...changed } });
    expect(act).toThrow(expect.objectContaining({ code, exitStatus: 125 }));
  });

  test("root writes maps itself that newuidmap would refuse, and only those", () => {
    const root = { ...facts.ids, user: { name: "root", uid: 0, gid: 0 }, gid: 0, newuidmap: undefined };
    const of = (map: string, changed = {}) =>
      step(
        plan([`--uid-map=${map}`, `--gid-map=${map}`, "ls"], { ids: { ...root, ids: none, ...changed } }).steps,
        "write-id-maps",
      );
    expect(of("0:700000:65536").tools).toBeUndefined();
    expect(of("0:700000:65536").uid).toEqual([{ inside: 0, outside: 700000, length: 65536 }]);
    expect(of("0:0:1", { newuidmap: facts.ids.newuidmap }).tools?.newuidmap).toBe("/usr/bin/newuidmap");
    const few = { ...ids, outer: [{ inside: 0, outside: 100000, length: 65536 }] };
    expect(() => of("0:65000:65536", { ids: { uid: few, gid: few } })).toThrow("outside 65000-130535 is not delegated");
  });

  test("a map of the own id alone needs no sub-ids", () => {
    const act = () => plan(["--uid-map=0:1001:1", "--gid-map=0:1001:1", "ls"], { ids: { ...facts.ids, ids: none } });
    expect(step(act().steps, "write-id-maps").uid).toEqual([{ inside: 0, outside: 1001, length: 1 }]);
  });
});

describe("copy-up", () => {
  test("keeps the original below a tmpfs in its place, and links to it", () => {
    const { steps } = plan(["--net=host", "--copy-up=/opt", "ls"], { copyUp: [{ path: "/opt", bound: [] }] });
    const rbind = Mount.bind | Mount.recursive;
    expect(operations(steps, "mount").slice(1)).toEqual([
      ["mount", "/opt", "/tmp", "", rbind, ""],
      ["mount", "none", "/opt", "tmpfs", 0, ""],
      ["mount", "/tmp", "/opt/.ro42", "", Mount.move, ""],
    ]);
    expect(operations(steps, "link_entries")).toEqual([["link_entries", "/opt/.ro42", "/opt", ".ro42/"]]);
    expect(names(steps).indexOf("link_entries")).toBeGreaterThan(names(steps).lastIndexOf("mount"));
  });

  test("binds a directory whose relative links leave it, before the links are made", () => {
    const copyUp = [{ path: "/etc", bound: ["ssl"] }];
    const { steps } = plan(["--net=host", "--copy-up=/etc", "ls"], { copyUp });
    expect(operations(steps, "mount").at(-1)).toEqual([
      ...["mount", "/etc/.ro42/ssl", "/etc/ssl", ""],
      Mount.bind | Mount.recursive,
      "",
    ]);
    expect(names(steps).lastIndexOf("mount")).toBeLessThan(names(steps).indexOf("link_entries"));
  });
});

test("a plain command: its state directory is its own, and nothing is added to it", () => {
  const { stateDir, steps, profile } = plan(["--net=host", "sh", "-c", "exit 3"]);
  expect(stateDir).toBe("/run/user/1001/rlkit-42");
  expect(step(steps, "start-target").argv).toEqual(["sh", "-c", "exit 3"]);
  expect(profile).toMatchObject({ steps: [], clientEnv: {}, notes: [] });
});

test("--state-dir is where everything goes", () => {
  const { stateDir, steps } = plan(["--state-dir=/my/state", "ls"]);
  expect(stateDir).toBe("/my/state");
  expect(step(steps, "lock-state-dir").path).toBe("/my/state");
  expect(step(steps, "start-target").env).toContain("ROOTLESSKIT_STATE_DIR=/my/state");
});
