import { describe, expect, test } from "vitest";
import { dockerPlan, facts, names, plan, step } from "../../test/helpers/plans.ts";
import { printAction } from "./print.ts";

describe("-p", () => {
  test("is a step before child_pid, the API and the target, and one for all ports: all or none", () => {
    const { steps, portDriver } = plan(["--net=slirp4netns", "-p", "8080:80", "--publish=[::1]:53:53/udp", "ls"]);
    expect(portDriver).toBe("builtin");
    expect(names(steps).slice(-4)).toEqual(["publish", "write-child-pid", "listen-api", "start-target"]);
    const publish = step(steps, "publish");
    expect(publish.ports).toEqual([
      { proto: "tcp", parentPort: 8080, childPort: 80 },
      { proto: "udp", parentIP: "::1", parentPort: 53, childPort: 53 },
    ]);
    expect(printAction(publish)).toBe("publish :8080:80/tcp, [::1]:53:53/udp (builtin)");
  });

  test("is refused where the driver can't publish", () => {
    expect(() => plan(["--net=host", "-p", "8080:80", "ls"])).toThrow(
      'port driver "none" does not support publishing ports',
    );
    expect(() => plan(["--net=none", "--port-driver=none", "-p", "8080:80", "ls"])).toThrow(
      "does not support publishing",
    );
  });

  test("that can't be read is refused with the text", () => {
    expect(() => plan(["-p", "eighty", "ls"])).toThrow('"eighty"');
  });

  test("makes no step of a port that pasta publishes by itself, and says so", () => {
    const { steps, notes } = plan(["--net=pasta", "--port-driver=implicit", "-p", "8080:80/tcp", "ls"]);
    expect(names(steps)).not.toContain("publish");
    expect(notes).toEqual([{ level: "warn", text: expect.stringMatching(/^-p has no effect/) }]);
    expect(plan(["--net=pasta", "--port-driver=implicit", "ls"]).notes).toEqual([]);
  });
});

describe("--port-driver", () => {
  const args = (...argv: string[]) => step(plan([...argv, "ls"]).steps, "start-helper").args.join(" ");

  test.each([
    ["--net=slirp4netns", "builtin"],
    ["--net=pasta", "builtin"],
    ["--net=none", "builtin"],
    ["--net=host", "none"],
  ])("by default with %s: %s", (net, expected) => {
    expect(plan([net, "ls"]).portDriver).toBe(expected);
  });

  test("dockerd gets builtin, with pasta too", () => {
    expect(dockerPlan(["--net=pasta", "dockerd"]).portDriver).toBe("builtin");
  });

  test("slirp4netns gets its API socket in the state directory, and only for that driver", () => {
    expect(args("--state-dir=/s", "--net=slirp4netns", "--port-driver=slirp4netns")).toContain(
      "--api-socket /s/.s4nn.sock",
    );
    expect(args("--state-dir=/s", "--net=slirp4netns")).not.toContain("--api-socket");
  });

  test("implicit has pasta publish whatever listens inside", () => {
    const text = args("--net=pasta", "--port-driver=implicit");
    expect(text).toContain("--tcp-ports auto --udp-ports auto");
    expect(text).not.toContain("none");
  });

  test("pesto needs a pasta that has a control socket, and the program", () => {
    const pasta = { path: "/usr/bin/pasta", features: new Set([...(facts.network.pasta?.features ?? [])]) };
    const asked = ["--state-dir=/s", "--net=pasta", "--port-driver=pesto", "ls"];
    const network = { ...facts.network, pasta, pesto: "/usr/bin/pesto" };
    expect(step(plan(asked, { network }).steps, "start-helper").args.join(" ")).toContain("--conf-path /s/.pasta.sock");
    expect(() => plan(asked)).toThrow("pesto is not on PATH");
    pasta.features.delete("--conf-path");
    expect(() => plan(asked, { network })).toThrow("too old");
  });

  test("that does not go with the network is refused", () => {
    expect(() => plan(["--net=host", "--port-driver=builtin", "ls"])).toThrow("port driver requires non-host network");
    expect(() => plan(["--net=pasta", "--port-driver=slirp4netns", "ls"])).toThrow("requires slirp4netns network");
  });
});
