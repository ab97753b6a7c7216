import { describe, expect, test } from "vitest";
import { RlkitError, SyscallError } from "../errors.ts";
import type { PortSpec } from "./driver.ts";
import { type ListenHost, openListener, probePort } from "./listeners.ts";
import { socketPlans } from "./socket-plan.ts";
import { parsePortSpec } from "./spec.ts";

const both = { family: 6, v6only: false, address: "" };
const four = { family: 4, v6only: false, address: "" };

/** A host that answers each bind with the next of `results`: a descriptor, or the errno to fail with. */
function host(...results: (number | string)[]) {
  const log: unknown[] = [];
  const fake: ListenHost = {
    bind(request) {
      log.push(request);
      const result = results.shift() ?? expect.unreachable("bound once too often");
      if (typeof result === "string") throw new SyscallError("bind", result);
      return result;
    },
    boundPort: () => 40123,
    close: (fd) => void log.push({ closed: fd }),
    holder: (wanted) => (wanted.port === 18080 ? "pid 7 (nginx)" : undefined),
    unprivilegedPortStart: () => 1024,
    addresses: () => ["127.0.0.1 (lo)", "192.0.2.1 (eth0)"],
  };
  return { fake, log };
}

const open = (text: string, ...results: (number | string)[]) => {
  const { fake, log } = host(...results);
  const spec: PortSpec = parsePortSpec(text);
  return { log, act: () => openListener(spec, socketPlans(spec), fake) };
};

function failure(act: () => unknown): RlkitError {
  try {
    act();
  } catch (error) {
    if (error instanceof RlkitError) return error;
    throw error;
  }
  return expect.unreachable("nothing was thrown");
}

describe("openListener", () => {
  test("binds what the spec means", () => {
    const { act, log } = open("127.0.0.2:8080:80/udp", 9);
    expect(act()).toEqual({ fd: 9, port: 8080 });
    expect(log).toEqual([{ family: 4, v6only: false, kind: "datagram", address: "127.0.0.2", port: 8080 }]);
  });

  test("tells which free port the kernel picked", () => {
    expect(open(":0:80/tcp", 9).act()).toEqual({ fd: 9, port: 40123 });
  });

  test.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])("goes without IPv6 after %s", (errno) => {
    const { act, log } = open(":8080:80/tcp", errno, 9);
    expect(act()).toEqual({ fd: 9, port: 8080 });
    expect(log).toMatchObject([both, four]);
  });

  test("does not go without IPv6 where that was asked for", () => {
    expect(open("[::]:8080:80/tcp", "EAFNOSUPPORT").act).toThrow(
      "listen tcp [::]:8080: bind: address family not supported by protocol",
    );
  });

  test("does not take a port on IPv4 alone when it is taken on one of both versions", () => {
    expect(open(":8080:80/tcp", "EADDRINUSE").act).toThrow("listen tcp :8080: bind: address already in use");
  });

  test("tries again when the free port that the kernel picked was none, but not for ever", () => {
    expect(open(":0:80/tcp", "EADDRINUSE", "EADDRINUSE", 9).act()).toEqual({ fd: 9, port: 40123 });
    expect(open(":0:80/tcp", ...Array(10).fill("EADDRINUSE")).act).toThrow("address already in use");
  });

  test.each<[string, string, string, RegExp | undefined]>([
    [
      "127.0.0.1:18080:80/tcp4",
      "EADDRINUSE",
      "listen tcp4 127.0.0.1:18080: bind: address already in use: held by pid 7 (nginx)",
      /another port/,
    ],
    ["[::1]:18081:80/tcp", "EADDRINUSE", "listen tcp [::1]:18081: bind: address already in use", /another port/],
    [
      ":80:80/tcp",
      "EACCES",
      "cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp :80: bind: permission denied",
      /^sudo sysctl -w net\.ipv4\.ip_unprivileged_port_start=80$/,
    ],
    [":1024:80/tcp", "EACCES", "listen tcp :1024: bind: permission denied", undefined],
    [
      "10.9.9.9:80:80/tcp",
      "EADDRNOTAVAIL",
      "listen tcp 10.9.9.9:80: bind: cannot assign requested address",
      /^this host's addresses: 127\.0\.0\.1 \(lo\), 192\.0\.2\.1 \(eth0\)$/,
    ],
    ["[fe80::1]:80:80/tcp", "EINVAL", "listen tcp [fe80::1]:80: bind: invalid argument", /\[fe80::1%eth0\]/],
    ["[fe80::1%x]:80:80/tcp", "ENODEV", "listen tcp [fe80::1%x]:80: bind: no such device", undefined],
    [":8080:80/udp", "EMFILE", "listen udp :8080: bind: too many open files", undefined],
    [":8080:80/udp", "EUSERS", "listen udp :8080: bind: EUSERS", undefined],
  ])("%s that fails with %s", (text, errno, message, hint) => {
    const error = failure(open(text, errno, errno).act);
    expect(error).toMatchObject({ code: "PORT", message, cause: { code: errno } });
    if (hint === undefined) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
  });

  test("passes a defect on as it is", () => {
    const { fake } = host();
    const defect = new TypeError("oops");
    fake.bind = () => {
      throw defect;
    };
    const spec = parsePortSpec(":80:80/tcp4");
    expect(() => openListener(spec, socketPlans(spec), fake)).toThrow(defect);
  });

  test.each(["sctp", "sctp4", "sctp6"] as const)("refuses %s", (proto) => {
    expect(() => openListener({ proto, parentPort: 80, childPort: 80 }, [], host().fake)).toThrow(
      `unsupported port protocol ${proto}`,
    );
  });
});

test("probePort lets go of the port that it found", () => {
  const { fake, log } = host(9);
  expect(probePort(parsePortSpec(":0:80/tcp"), { family: 4, v6only: false, address: "" }, fake)).toBe(40123);
  expect(log).toEqual([{ ...four, kind: "stream", port: 0 }, { closed: 9 }]);
});
