import { describe, expect, test } from "vitest";
import type { Wanted } from "./holder.ts";
import { type PestoSetting, pestoDriver } from "./pesto.ts";
import { parsePortSpec } from "./spec.ts";

/** A pesto and its pasta as seen with version 2026_10_02: rules that it can't bind are taken, too. */
function setUp(setting: Partial<PestoSetting> = {}) {
  const ran: string[] = [];
  const rules = new Set<string>();
  const served: Wanted[] = [];
  let running = 0;
  const driver = pestoDriver({
    pesto: "/usr/bin/pesto",
    socketPath: "/state/.pasta.sock",
    tap: "10.0.2.100",
    ipv6: true,
    probe: (spec) => spec.parentPort || 40123,
    served: (wanted) => served.push(wanted) > 1,
    async run([program, option = "", rule = "", path, ...more]) {
      expect([program, path, more, ++running]).toEqual(["/usr/bin/pesto", "/state/.pasta.sock", [], 1]);
      await new Promise(setImmediate);
      running -= 1;
      ran.push(`${option} ${rule}`);
      const conflict = option === "-A" ? rules.has(rule) : !rules.delete(rule);
      if (option === "-A") rules.add(rule);
      if (!conflict) return { status: 0, output: "" };
      const output =
        option === "-A"
          ? "Forwarding configuration conflict\nUnable to add rule\n"
          : "Couldn't find forwarding rule to delete: x";
      return { status: 1, output };
    },
    ...setting,
  });
  return { driver, ran, rules, served };
}

test.each([
  [":8080:80/tcp", "--tcp-ports=0.0.0.0/8080:80", { address: undefined, families: [4] }],
  [":8080:80/udp4", "--udp-ports=0.0.0.0/8080:80", { address: undefined, families: [4] }],
  [":8080:80/tcp6", "--tcp-ports=::/8080:80", { address: undefined, families: [6] }],
  ["[::]:8080:80/udp", "--udp-ports=::/8080:80", { address: undefined, families: [6] }],
  ["0.0.0.0:8080:80/udp", "--udp-ports=0.0.0.0/8080:80", { address: undefined, families: [4] }],
  ["127.0.0.2:8080:10.0.2.100:80/tcp", "--tcp-ports=127.0.0.2/8080:80", { address: { family: 4 }, families: [4] }],
  ["[::1]:8080:80/tcp", "--tcp-ports=::1/8080:80", { address: { family: 6 }, families: [6] }],
  [":0:80/tcp", "--tcp-ports=0.0.0.0/40123:80", { port: 40123 }],
])("%s becomes %s, and so it is removed", async (text, rule, wanted) => {
  const { driver, ran, served } = setUp();
  const spec = parsePortSpec(text);
  expect(await driver.open(1, spec)).toEqual({ ...spec, parentPort: spec.parentPort || 40123 });
  expect(served[0]).toMatchObject(wanted);
  await driver.close(1);
  await driver.close(1);
  expect(ran).toEqual([`-A ${rule}`, `-D ${rule}`]);
  expect(driver.counters()).toBeUndefined();
});

test("runs one pesto at a time, also after a failure", async () => {
  const { driver, ran } = setUp();
  const specs = [":1:1/tcp", ":1:1/tcp", ":2:2/tcp", ":3:3/udp"].map((text) => parsePortSpec(text));
  const results = await Promise.allSettled(specs.map((spec, index) => driver.open(index, spec)));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(ran).toHaveLength(4);
});

describe("refuses, without asking pasta,", () => {
  test.each([
    [":80:80/sctp", true, "unsupported protocol: sctp"],
    [":80:80/tcp6", false, 'IPv6 port forwarding (proto "tcp6", parent IP "::") requires --ipv6'],
    ["[::1]:80:80/tcp", false, 'IPv6 port forwarding (proto "tcp", parent IP "::1") requires --ipv6'],
    ["[::1]:80:80/tcp4", true, "listen tcp4 [::1]:80: tcp4 is IPv4, and ::1 is not"],
    [
      ":80:127.0.0.1:80/tcp",
      true,
      'unsupported ChildIP "127.0.0.1": the pesto port driver only supports the namespace address "10.0.2.100"',
    ],
  ])("%s (--ipv6: %s)", async (text, ipv6, message) => {
    const { driver, ran } = setUp({ ipv6 });
    await expect(driver.open(1, parsePortSpec(text))).rejects.toThrow(
      expect.objectContaining({ code: "PORT", message }),
    );
    expect(ran).toEqual([]);
  });

  test("a port that can't be bound", async () => {
    const { driver, ran } = setUp({
      probe: () => {
        throw new Error("permission denied");
      },
    });
    await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow("permission denied");
    expect(ran).toEqual([]);
  });
});

test("passes on what pesto says", async () => {
  const { driver } = setUp();
  await driver.open(1, parsePortSpec(":80:80/tcp"));
  await expect(driver.open(2, parsePortSpec(":80:80/tcp"))).rejects.toThrow(
    expect.objectContaining({
      code: "PORT",
      message: "pesto failed: exit status 1: Forwarding configuration conflict; Unable to add rule",
    }),
  );
});

test("does not take a port for published when there is no pasta", async () => {
  const output = "Failed to connect to /state/.pasta.sock: No such file or directory";
  const { driver } = setUp({ run: async () => ({ status: 1, output }) });
  await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow(`pesto failed: exit status 1: ${output}`);
});

test("withdraws a rule that pasta took and does not serve", async () => {
  const { driver, ran, rules } = setUp({ served: () => false });
  await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow("pasta does not listen on port 80");
  expect(ran).toEqual(["-A --tcp-ports=0.0.0.0/80:80", "-D --tcp-ports=0.0.0.0/80:80"]);
  expect(rules.size).toBe(0);
});

test.each([
  ["Couldn't find forwarding rule to delete: TCP [0.0.0.0]:80  =>  80", true],
  ["Failed to connect to /state/.pasta.sock: Connection refused", true],
  ["Something else", false],
])("when removing ends with %j, the port is gone: %s", async (output, gone) => {
  let status = 0;
  const { driver } = setUp({ run: async () => ({ status, output }) });
  await driver.open(1, parsePortSpec(":80:80/tcp"));
  status = 1;
  const closing = driver.close(1);
  if (gone) await closing;
  else await expect(closing).rejects.toThrow("pesto failed: exit status 1: Something else");
});

test("says where pesto comes from when it can't be run", async () => {
  const { driver } = setUp({ run: () => Promise.reject(new Error("exec /usr/bin/pesto: ENOENT")) });
  await expect(driver.open(1, parsePortSpec(":80:80/tcp"))).rejects.toThrow(
    expect.objectContaining({
      message: "cannot run /usr/bin/pesto: exec /usr/bin/pesto: ENOENT",
      hint: expect.stringContaining("passt of 2026"),
    }),
  );
});

test("a new pasta is not told of a port that is being removed", async () => {
  const { driver, ran } = setUp();
  for (const port of [80, 81]) await driver.open(port, parsePortSpec(`:${port}:80/tcp`));
  await Promise.all([driver.close(81), driver.replay()]);
  expect(ran.slice(2)).toEqual(["-D --tcp-ports=0.0.0.0/81:80", "-A --tcp-ports=0.0.0.0/80:80"]);
});

test("tells a new pasta of the ports", async () => {
  const { driver, ran, rules } = setUp();
  await driver.open(1, parsePortSpec(":80:80/tcp"));
  await driver.open(2, parsePortSpec(":0:80/tcp"));
  rules.clear();
  await driver.replay();
  expect(ran.slice(2)).toEqual(ran.slice(0, 2));
});
