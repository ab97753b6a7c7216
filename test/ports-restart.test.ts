import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, dial, exchange, HAS_IPV6, roundTrip } from "./helpers/client.ts";
import { type Inside, inside, type Port, portdOf } from "./helpers/ports.ts";
import { isRunning } from "./helpers/processes.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
let run: Inside;
let stream: Port;
let datagrams: Port;

describe.each([[["--net=slirp4netns"]], [["--net=none", "--pidns"]]])("with %j", (options) => {
  beforeEach(async () => {
    user = await testUser();
    run = await inside(user, options);
    const echo = await run.listen("echo");
    stream = await run.publish({ proto: "tcp", childPort: echo.port });
    const other = await run.listen("datagrams");
    datagrams = await run.publish({ proto: "udp", childPort: other.port });
  });

  afterEach(async () => {
    await run?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  /** Kills the process that forwards; resolves when another has taken its place. */
  async function killPortd(): Promise<void> {
    const pid = await portdOf(run);
    process.kill(pid, "SIGKILL");
    await until(async () => !isRunning(pid) && (await portdOf(run)) !== pid, { deadline: 2000, what: "another portd" });
  }

  test("kill -9 of portd: it is started again, and the ports are as before but for their connections", async () => {
    using lost = await dial({ port: stream.spec.parentPort });
    await roundTrip(lost, "hello");
    await killPortd();
    expect(await lost.ended()).toMatch(/^(end|ECONNRESET)$/);
    expect(await exchange({ port: stream.spec.parentPort }, "again")).toBe("again");
    if (HAS_IPV6) expect(await exchange({ port: stream.spec.parentPort, host: "::1" }, "again")).toBe("again");
    expect(await ask({ port: datagrams.spec.parentPort }, "again")).toBe("again");
    expect(await run.list()).toEqual([stream, datagrams]);
    expect(run.run.stderr).toMatch(/"level":"warn".*portd has ended/);
    await run.unpublish(stream.id);
    await expect(dial({ port: stream.spec.parentPort })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await run.publish(stream.spec);
    expect(await exchange({ port: stream.spec.parentPort }, "anew")).toBe("anew");
  });

  test("no client is refused meanwhile: those who come in the gap are answered a moment later", async () => {
    const { parentPort: port } = stream.spec;
    const pid = await portdOf(run);
    // Connecting needs nobody's help as long as somebody listens: a connection that is refused shows at once.
    let refused = 0;
    let connected = 0;
    let over = false;
    const knock = async (): Promise<void> => {
      while (!over) {
        const socket = connect({ port, host: "127.0.0.1" });
        await once(socket, "connect").then(
          () => {
            connected += 1;
          },
          () => {
            refused += 1;
          },
        );
        socket.resetAndDestroy();
      }
    };
    const knocking = [knock(), knock()];
    await until(() => connected > 20);
    process.kill(pid, "SIGKILL");
    const early = Array.from({ length: 30 }, (_, i) => exchange({ port }, `early ${i}`));
    const answers = Promise.all(early);
    await until(async () => (await portdOf(run)) !== pid, { what: "another portd" });
    expect(await answers).toEqual(Array.from({ length: 30 }, (_, i) => `early ${i}`));
    over = true;
    await Promise.all(knocking);
    expect(refused).toBe(0);
  });

  test("a portd that is killed again and again is there again with the next port at the latest", async () => {
    for (let i = 0; i < 3; i += 1) {
      const pid = await portdOf(run);
      process.kill(pid, "SIGKILL");
      await until(() => !isRunning(pid));
      const { port: childPort } = await run.listen("echo", { name: String(i) });
      const { spec } = await until(() => run.publish({ proto: "tcp", childPort }), { what: "a port to be published" });
      expect(await exchange({ port: spec.parentPort }, "x")).toBe(`${i}\nx`);
      expect(await exchange({ port: stream.spec.parentPort }, "old")).toBe("old");
    }
  });

  test("a portd that does not answer any more does not keep a run from ending", async () => {
    process.kill(await portdOf(run), "SIGSTOP");
    run.run.kill("SIGTERM");
    expect(await run.run.result(5000)).toMatchObject({ code: 143 });
  });
});
