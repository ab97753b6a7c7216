import { describe, expect, test } from "vitest";
import { socketPlans, targetAddress } from "./socket-plan.ts";
import { parsePortSpec } from "./spec.ts";

const both = { family: 6, v6only: false, address: "" };
const four = { family: 4, v6only: false, address: "" };
const six = { family: 6, v6only: true, address: "" };

describe("the socket of", () => {
  test.each<[string, unknown[]]>([
    [":80:80/tcp", [both, four]],
    ["0.0.0.0:80:80/tcp", [both, four]],
    ["[::]:80:80/tcp", [both]],
    [":80:80/udp", [both, four]],
    [":80:80/tcp4", [four]],
    ["0.0.0.0:80:80/udp4", [four]],
    [":80:80/tcp6", [six]],
    ["[::]:80:80/udp6", [six]],
    ["127.0.0.2:80:80/tcp", [{ ...four, address: "127.0.0.2" }]],
    ["127.0.0.2:80:80/tcp4", [{ ...four, address: "127.0.0.2" }]],
    ["[::1]:80:80/tcp", [{ ...six, address: "::1" }]],
    ["[::1]:80:80/udp6", [{ ...six, address: "::1" }]],
    ["[fe80::1%eth0]:80:80/tcp", [{ ...six, address: "fe80::1%eth0" }]],
    ["[::ffff:192.0.2.1]:80:80/tcp", [{ ...four, address: "192.0.2.1" }]],
  ])("%s", (text, plans) => {
    expect(socketPlans(parsePortSpec(text))).toEqual(plans);
  });

  test.each([
    ["[::1]:80:80/tcp4", "listen tcp4 [::1]:80: tcp4 is IPv4, and ::1 is not", "tcp6"],
    ["[::]:80:80/udp4", "listen udp4 [::]:80: udp4 is IPv4, and :: is not", "udp6"],
    ["127.0.0.1:80:80/tcp6", "listen tcp6 127.0.0.1:80: tcp6 is IPv6, and 127.0.0.1 is not", "tcp4"],
    ["0.0.0.0:80:80/udp6", "listen udp6 0.0.0.0:80: udp6 is IPv6, and 0.0.0.0 is not", "udp4"],
  ])("%s contradicts itself", (text, message, better) => {
    const act = () => socketPlans(parsePortSpec(text));
    expect(act).toThrow(expect.objectContaining({ code: "PORT", message, hint: expect.stringContaining(better) }));
  });
});

describe("inside, the builtin driver connects", () => {
  test.each([
    [":80:80/tcp", "127.0.0.1"],
    ["0.0.0.0:80:80/tcp", "127.0.0.1"],
    ["[::]:80:80/tcp6", "127.0.0.1"],
    ["192.0.2.7:80:80/tcp", "127.0.0.1"],
    ["[2001:db8::1]:80:80/tcp", "127.0.0.1"],
    ["127.0.0.2:80:80/tcp", "127.0.0.2"],
    ["[::1]:80:80/tcp", "::1"],
    ["[::ffff:127.0.0.3]:80:80/tcp", "127.0.0.3"],
    ["127.0.0.2:80:10.0.2.100:80/tcp", "10.0.2.100"],
    ["127.0.0.2:80:[::1]:80/tcp", "::1"],
    [":80:[::ffff:10.0.2.100]:80/tcp", "10.0.2.100"],
  ])("for %s to %s", (text, address) => {
    expect(targetAddress(parsePortSpec(text))).toBe(address);
  });
});
