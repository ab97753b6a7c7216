import { describe, expect, test } from "vitest";
import { configFile, dockerdSettings } from "./dockerd-args.ts";

const HOME = "/home/a";
const settings = (args: string[], config: Record<string, unknown> = {}, env: Record<string, string> = {}) =>
  dockerdSettings(args, config, env, HOME, "/run/user/1000");

test("the defaults are a rootless dockerd's", () => {
  expect(settings(["--experimental", "--debug"])).toEqual({
    mtu: false,
    storageDriver: false,
    liveRestore: false,
    dataRoot: "/home/a/.local/share/docker",
    pidFiles: ["/run/user/1000/docker.pid", "/run/user/1000/docker/containerd/containerd.pid"],
    host: "unix:///run/user/1000/docker.sock",
    apart: [],
  });
});

test.each([
  [["-p", "/a.pid", "--exec-root", "/b"], {}],
  [["--pidfile=/a.pid"], { "exec-root": "/b" }],
  [[], { pidfile: "/a.pid", "exec-root": "/b" }],
])("the pid files by %j and %j", (args, config) => {
  expect(settings(args, config).pidFiles).toEqual(["/a.pid", "/b/containerd/containerd.pid"]);
});

describe("the MTU is decided already", () => {
  test.each([
    [["--mtu=1500"], {}, true],
    [["--mtu", "1500"], {}, true],
    [[], { mtu: 1400 }, true],
    [["--mtu-of-something-else=1"], {}, false],
    [["--label", "mtu=1"], {}, false],
  ])("by %j and %j: %s", (args, config, decided) => {
    expect(settings(args, config).mtu).toBe(decided);
  });
});

describe("the storage driver is decided already", () => {
  test.each([
    [["--storage-driver=vfs"], {}, true],
    [["--storage-driver", "vfs"], {}, true],
    [["-s", "vfs"], {}, true],
    [["-svfs"], {}, true],
    [["-s=vfs"], {}, true],
    [[], { "storage-driver": "overlay2" }, true],
    [["--storage-opt=overlay2.size=1G"], {}, false],
    [[], { "storage-driver": 7 }, false],
  ])("by %j and %j: %s", (args, config, decided) => {
    expect(settings(args, config).storageDriver).toBe(decided);
  });
});

describe("the data root", () => {
  test.each([
    [["--data-root=/data"], {}, {}, "/data"],
    [["--data-root", "/data"], {}, {}, "/data"],
    [["-g", "/data"], {}, {}, "/data"],
    [["--graph=/data"], {}, {}, "/data"],
    [["--data-root=/one", "--data-root=/two"], {}, {}, "/two"],
    [[], { "data-root": "/from/config" }, {}, "/from/config"],
    [["--data-root=/data"], { "data-root": "/from/config" }, {}, "/data"],
    [[], {}, { XDG_DATA_HOME: "/xdg" }, "/xdg/docker"],
    [[], {}, { XDG_DATA_HOME: "" }, "/home/a/.local/share/docker"],
  ])("of %j, daemon.json %j and %j is %s", (args, config, env, dataRoot) => {
    expect(settings(args, config, env).dataRoot).toBe(dataRoot);
  });
});

describe("clients find it at", () => {
  test.each([
    [["-H", "unix:///a.sock"], {}, "unix:///a.sock"],
    [["--host=tcp://127.0.0.1:2375"], {}, "tcp://127.0.0.1:2375"],
    [[], { hosts: ["unix:///b.sock", "tcp://127.0.0.1:1"] }, "unix:///b.sock"],
    [[], { hosts: "not a list" }, "unix:///run/user/1000/docker.sock"],
  ])("%j, %j: %s", (args, config, host) => {
    expect(settings(args, config).host).toBe(host);
  });

  test("the first of several --host", () => {
    expect(settings(["-H", "unix:///a.sock", "-H", "tcp://127.0.0.1:1"]).host).toBe("unix:///a.sock");
  });
});

test.each([
  [[], {}, "/home/a/.config/docker/daemon.json"],
  [[], { XDG_CONFIG_HOME: "/xdg" }, "/xdg/docker/daemon.json"],
  [["--config-file=/etc/d.json"], { XDG_CONFIG_HOME: "/xdg" }, "/etc/d.json"],
  [["--config-file", "/etc/d.json"], {}, "/etc/d.json"],
])("the configuration of %j with %j is %s", (args, env, path) => {
  expect(configFile(args, env, HOME)).toBe(path);
});

describe("an instance with a name", () => {
  const apart = (args: string[], config = {}) => dockerdSettings(args, config, {}, HOME, "/run/user/1000", "ci");

  test("has its own data, sockets and pids, of which dockerd is told", () => {
    expect(apart([])).toMatchObject({
      dataRoot: `${HOME}/.local/share/docker-ci`,
      pidFiles: ["/run/user/1000/docker-ci.pid", "/run/user/1000/docker-ci/containerd/containerd.pid"],
      host: "unix:///run/user/1000/docker-ci.sock",
      apart: [
        `--data-root=${HOME}/.local/share/docker-ci`,
        "--exec-root=/run/user/1000/docker-ci",
        "--pidfile=/run/user/1000/docker-ci.pid",
        "--host=unix:///run/user/1000/docker-ci.sock",
      ],
    });
  });

  test("what the user has said stays so, on the command line and in daemon.json", () => {
    const { apart: told, host } = apart(["--host", "unix:///x.sock", "--pidfile=/p"], { "data-root": "/d" });
    expect(told).toEqual(["--exec-root=/run/user/1000/docker-ci"]);
    expect(host).toBe("unix:///x.sock");
  });
});
