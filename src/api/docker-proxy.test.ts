import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { decideDockerProxy, parseDockerProxy } from "./docker-proxy.ts";
import type { Info } from "./info.ts";

const words = (line: string): string[] => line.split(" ");
const DOCKERD = "-proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80";

describe("docker-proxy's command line", () => {
  const call = { proto: "tcp", hostIp: "0.0.0.0", hostPort: 8080, containerIp: "172.17.0.2", containerPort: 80 };
  const unset = { proto: "tcp", hostIp: "", hostPort: -1, containerIp: "", containerPort: -1 };

  test.each([
    [DOCKERD, call],
    [`${DOCKERD} -use-listen-fd`, call],
    [`-use-listen-fd=false ${DOCKERD}`, call],
    [DOCKERD.replaceAll(/-(\S+) (\S+)/g, "--$1=$2"), call],
    [DOCKERD.replaceAll(/-(\S+) (\S+)/g, "-$1=$2"), call],
    [`${DOCKERD} -- -proto udp`, call],
    [`${DOCKERD} -proto=udp`, { ...call, proto: "udp" }],
    ["-host-ip ::1 -host-port +53 -proto=sctp", { ...unset, proto: "sctp", hostIp: "::1", hostPort: 53 }],
    ["-host-ip=", unset],
    ["-host-ip -1", { ...unset, hostIp: "-1" }],
    ["-version", undefined],
    ["-v=false -host-port 1", { ...unset, hostPort: 1 }],
    ["--v", undefined],
  ])("%s", (line, expected) => {
    expect(parseDockerProxy(words(line))).toEqual(expected);
  });

  test.each([
    ["-foo 1", "flag provided but not defined: -foo"],
    ["-constructor=1", "flag provided but not defined: -constructor"],
    ["-host-ip", "flag needs an argument: -host-ip"],
    ["-host-port abc", 'invalid value "abc" for flag -host-port: parse error'],
    ["---proto tcp", "bad flag syntax: ---proto"],
    ["-=tcp", "bad flag syntax: -=tcp"],
  ])("%s is refused in the words of Go's flag package", (line, message) => {
    expect(() => parseDockerProxy(words(line))).toThrow(message);
  });

  test("whatever comes is read or refused", () => {
    const word = fc.oneof(fc.string(), fc.constantFrom(...words(DOCKERD), "--", "-", "-v", "-host-port=x"));
    fc.assert(
      fc.property(fc.array(word), (argv) => {
        try {
          parseDockerProxy(argv);
        } catch (error) {
          expect(error).toBeInstanceOf(RlkitError);
        }
      }),
    );
  });
});

describe("what docker-proxy is to do", () => {
  const common = { apiVersion: "1.1.2", version: "1", stateDir: "/s", childPID: 1 };
  const networkDriver = { driver: "slirp4netns", childIP: "10.0.2.100" };
  const can = { ipv6: true, udp: true, sourceIP: [] };
  const builtin: Info = {
    ...common,
    networkDriver,
    portDriver: {
      driver: "builtin",
      protos: ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"],
      capabilities: can,
    },
  };
  const slirp: Info = {
    ...common,
    networkDriver,
    portDriver: {
      driver: "slirp4netns",
      protos: ["tcp", "tcp4", "udp", "udp4"],
      disallowLoopbackChildIP: true,
      capabilities: can,
    },
  };
  const decide = (
    proto: string,
    hostIp: string,
    about: Info,
    { hostPort = 80, containerIp = "", containerPort = -1 } = {},
  ) => decideDockerProxy({ proto, hostIp, hostPort, containerIp, containerPort }, about);

  test.each([
    ["tcp", "0.0.0.0", "tcp4", "127.0.0.1"],
    ["tcp", "::", "tcp6", "::1"],
    ["udp", "192.0.2.7", "udp4", "127.0.0.1"],
    ["udp", "2001:db8::7", "udp6", "::1"],
    ["tcp", "127.0.0.1", "tcp4", "127.0.0.1"],
    ["tcp", "127.0.0.3", "tcp4", "127.0.0.3"],
    ["tcp", "::1", "tcp6", "::1"],
    ["tcp4", "0.0.0.0", "tcp4", "127.0.0.1"],
    ["tcp", "", "tcp", "127.0.0.1"],
  ])("%s on %j: published as %s, and docker-proxy listens on %s", (proto, hostIp, published, childIp) => {
    expect(decide(proto, hostIp, builtin)).toEqual({
      do: "forward",
      spec: {
        proto: published,
        ...(hostIp && { parentIP: hostIp }),
        parentPort: 80,
        childPort: 80,
        childIP: childIp,
      },
      childIp,
    });
  });

  test("the port leads to the container itself, though docker-proxy listens all the same", () => {
    const container = { hostPort: 8080, containerIp: "172.17.0.2", containerPort: 80 };
    expect(decide("tcp", "0.0.0.0", builtin, container)).toMatchObject({
      childIp: "127.0.0.1",
      spec: { proto: "tcp4", parentPort: 8080, childIP: "172.17.0.2", childPort: 80 },
    });
    expect(decide("tcp", "::", builtin, { ...container, containerIp: "fd00::2" })).toMatchObject({
      spec: { proto: "tcp6", childIP: "fd00::2", childPort: 80 },
    });
    // Only the network's own address is reached there.
    expect(decide("tcp", "0.0.0.0", slirp, container)).toMatchObject({
      spec: { childIP: "10.0.2.100", childPort: 8080 },
    });
  });

  test("where loopback is not reached, it listens on the network's own address", () => {
    expect(decide("tcp", "127.0.0.1", slirp)).toMatchObject({ childIp: "10.0.2.100", spec: { childIP: "10.0.2.100" } });
    const { networkDriver: _, ...without } = slirp;
    expect(() => decide("tcp", "0.0.0.0", without)).toThrow("does not allow loopback child IP");
  });

  test.each([
    ["sctp", "0.0.0.0", builtin, "builtin does not forward sctp4"],
    ["tcp", "::", slirp, "slirp4netns does not forward tcp6"],
    ["nonsense", "0.0.0.0", builtin, "builtin does not forward nonsense4"],
  ])("%s on %s is skipped where the driver doesn't do that", (proto, hostIp, about, why) => {
    expect(decide(proto, hostIp, about)).toEqual({ do: "skip", why: expect.stringContaining(why) });
  });

  test("without a port driver, and for its version, it is left alone", () => {
    expect(decide("tcp", "0.0.0.0", { ...common, networkDriver })).toEqual({ do: "plain" });
    expect(decideDockerProxy(undefined, builtin)).toEqual({ do: "plain" });
  });

  test("port 0 is refused: nobody would know which one was taken", () => {
    expect(() => decide("tcp", "0.0.0.0", builtin, { hostPort: 0 })).toThrow("invalid ParentPort: 0");
  });
});
