import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, exchange, freePort, HAS_IPV6 } from "./helpers/client.ts";
import { type Inside, inside } from "./helpers/ports.ts";
import { testUser, type User } from "./helpers/user.ts";

/** A network, and the address that its tap device has inside. */
const networks = [
  [["--net=none"], undefined],
  [["--net=slirp4netns"], "10.0.2.100"],
  [["--net=slirp4netns", "--cidr=10.41.0.0/16"], "10.41.0.100"],
  [["--net=pasta"], "10.0.2.100"],
] as const;

const kinds = [
  { kind: "tcp", service: "echo", says: exchange },
  { kind: "udp", service: "datagrams", says: ask },
] as const;

/** For each port: the host's address and the one inside that were asked for; then who answers a client on 127.0.0.1 and on ::1. */
const ports = [
  ["", "", "", "127.0.0.1", "127.0.0.1"],
  ["", "0.0.0.0", "", "127.0.0.1", "127.0.0.1"],
  ["", "::", "::1", "::1", "::1"],
  ["", "127.0.0.1", "", "127.0.0.1", "nobody"],
  ["", "::1", "", "nobody", "::1"],
  ["4", "", "", "127.0.0.1", "nobody"],
  ["4", "0.0.0.0", "", "127.0.0.1", "nobody"],
  ["4", "0.0.0.0", "127.0.0.2", "127.0.0.2", "nobody"],
  ["4", "0.0.0.0", "::1", "::1", "nobody"],
  ["6", "", "::1", "nobody", "::1"],
  ["6", "::", "::1", "nobody", "::1"],
  ["6", "::", "127.0.0.1", "nobody", "127.0.0.1"],
  ["6", "::1", "127.0.0.1", "nobody", "127.0.0.1"],
] as const;

const cases = kinds.flatMap((kind) =>
  ports.map(([digit, parentIP, childIP, v4, v6]) => ({
    ...kind,
    proto: `${kind.kind}${digit}`,
    parentIP,
    childIP,
    v4,
    v6,
  })),
);

describe.each(networks)("with %j", (options, tap) => {
  let user: User;
  let run: Inside;
  const childPorts = { tcp: 0, udp: 0 };

  /** Has each of the addresses inside answer by its own name, all on one port. */
  async function listenEverywhere({ kind, service }: (typeof kinds)[number]): Promise<void> {
    const addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", ...(tap === undefined ? [] : [tap])];
    for (const host of addresses) {
      const { port } = await run.listen(service, { host, port: childPorts[kind], name: host });
      childPorts[kind] = port;
    }
  }

  beforeAll(async () => {
    user = await testUser();
    run = await inside(user, [...options, "--port-driver=builtin"]);
    for (const kind of kinds) await listenEverywhere(kind);
  });

  afterAll(async () => {
    await run?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  test.for(cases)(
    "$proto on '$parentIP' to '$childIP': $v4 answers 127.0.0.1, $v6 answers ::1",
    async (given, { skip }) => {
      const { kind, proto, parentIP, childIP, says } = given;
      skip(!HAS_IPV6 && (proto.endsWith("6") || parentIP.includes(":")), "this host has no ::1");
      const spec = { proto, ...(parentIP && { parentIP }), ...(childIP && { childIP }) };
      const { id, spec: published } = await run.publish({ ...spec, childPort: childPorts[kind] });
      for (const [host, answers] of [
        ["127.0.0.1", given.v4],
        ["::1", given.v6],
      ] as const) {
        if (host === "::1" && !HAS_IPV6) continue;
        const said = says({ host, port: published.parentPort }, "ping");
        if (answers === "nobody") await expect(said, host).rejects.toMatchObject({ code: "ECONNREFUSED" });
        else expect(await said, host).toBe(`${answers}\nping`);
      }
      await run.unpublish(id);
      const host = given.v4 === "nobody" ? "::1" : "127.0.0.1";
      await expect(says({ host, port: published.parentPort }, "ping")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    },
  );

  test.runIf(HAS_IPV6).each(kinds)(
    "$kind: strict IPv4 and IPv6 stand side by side on one port",
    async ({ kind, says }) => {
      const port = await freePort();
      const spec = { parentPort: port, childPort: childPorts[kind] };
      const added = await run.publishAll([
        { ...spec, proto: `${kind}4`, parentIP: "0.0.0.0", childIP: "127.0.0.2" },
        { ...spec, proto: `${kind}6`, parentIP: "::", childIP: "::1" },
      ]);
      expect(await says({ port }, "a")).toBe("127.0.0.2\na");
      expect(await says({ host: "::1", port }, "b")).toBe("::1\nb");
      for (const { id } of added) await run.unpublish(id);
    },
  );

  test.each(kinds)("$kind: one port of 127.0.0.2 and of 127.0.0.3 are two services", async ({ kind, says }) => {
    const port = await freePort();
    const addresses = ["127.0.0.2", "127.0.0.3"];
    const spec = { proto: kind, parentPort: port, childPort: childPorts[kind] };
    const added = await run.publishAll(addresses.map((parentIP) => ({ ...spec, parentIP })));
    for (const host of addresses) expect(await says({ host, port }, "x")).toBe(`${host}\nx`);
    await expect(says({ host: "127.0.0.1", port }, "x")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    for (const { id } of added) await run.unpublish(id);
  });

  test.runIf(tap !== undefined).each(kinds)("$kind: the address of the tap device can be the target", async (given) => {
    const { kind, says } = given;
    const added = await run.publish({ proto: kind, childIP: String(tap), childPort: childPorts[kind] });
    expect(await says({ port: added.spec.parentPort }, "x")).toBe(`${tap}\nx`);
    await run.unpublish(added.id);
  });
});
