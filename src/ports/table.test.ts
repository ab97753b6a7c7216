import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import type { PortCounters, PortDriver, PortSpec } from "./driver.ts";
import { formatPortSpec, parsePortSpec } from "./spec.ts";
import { PortTable } from "./table.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A driver that finishes what it is told when the test says so, and notes what it has open. */
class FakeDriver implements PortDriver {
  readonly name = "builtin";
  readonly ports = new Map<number, string>();
  readonly calls: string[] = [];
  /** Resolves or rejects opens and closes that wait; none waits while `slow` is false. */
  slow = false;
  busy = 0;
  most = 0;
  failing = new Set<number>();
  #waiting: (() => void)[] = [];
  #free = 50_000;

  async #step(): Promise<void> {
    this.busy += 1;
    this.most = Math.max(this.most, this.busy);
    if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else await turn();
    this.busy -= 1;
  }

  /** Lets what waits go on, and whatever comes of that. */
  async release(): Promise<void> {
    this.slow = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
    for (let i = 0; i < 10; i += 1) await turn();
  }

  async open(id: number, spec: PortSpec): Promise<PortSpec> {
    this.calls.push(`open ${spec.parentPort}`);
    await this.#step();
    if (this.failing.has(spec.parentPort)) throw new RlkitError("PORT", `no ${spec.parentPort}`);
    this.#free += 1;
    const opened = { ...spec, parentPort: spec.parentPort || this.#free };
    this.ports.set(id, formatPortSpec(opened));
    return opened;
  }

  async close(id: number): Promise<void> {
    this.calls.push(`close ${this.ports.get(id)}`);
    await this.#step();
    if (this.failing.has(0)) throw new RlkitError("PORT", "cannot close");
    this.ports.delete(id);
  }

  counters() {
    const counters = (id: number): PortCounters => ({
      open: id,
      accepted: 0,
      bytesIn: 0,
      bytesOut: 0,
      failed: 0,
      plain: 0,
    });
    return Promise.resolve(new Map([...this.ports.keys()].map((id) => [id, counters(id)])));
  }

  get published(): string[] {
    return [...this.ports.values()].sort();
  }
}

let driver: FakeDriver;
let table: PortTable;
let warnings: string[];
const port = (text: string): PortSpec => parsePortSpec(text, { defaultProto: "tcp" });
const listed = (): string[] => table.list().map(({ id, spec }) => `${id} ${formatPortSpec(spec)}`);

beforeEach(() => {
  driver = new FakeDriver();
  warnings = [];
  table = new PortTable(driver, (text) => warnings.push(text));
});

describe("ids", () => {
  test("are 1, 2, 3, and never the same again", async () => {
    expect(await table.add(port(":80:80"))).toEqual({ id: 1, spec: port(":80:80") });
    expect((await table.add(port(":81:80"))).id).toBe(2);
    await table.remove(2);
    await table.remove(1);
    expect((await table.add(port(":80:80"))).id).toBe(3);
    expect(listed()).toEqual(["3 :80:80/tcp"]);
  });

  test("are not taken by what fails", async () => {
    driver.failing.add(81);
    await expect(table.add(port(":81:80"))).rejects.toThrow("no 81");
    await expect(table.add({ ...port(":82:80"), proto: "TCP" })).rejects.toThrow('unknown proto: "TCP"');
    expect((await table.add(port(":80:80"))).id).toBe(1);
    await expect(table.add(port(":80:81"))).rejects.toThrow("conflict with ID 1");
    expect((await table.add(port(":82:80"))).id).toBe(2);
  });

  test("of a set are in its order", async () => {
    expect(
      (await table.addAll([port(":82:1"), port(":80:1"), port(":81:1")])).map(({ id, spec }) => [id, spec.parentPort]),
    ).toEqual([
      [1, 82],
      [2, 80],
      [3, 81],
    ]);
    expect(await table.addAll([])).toEqual([]);
  });
});

describe("conflicts", () => {
  test.each([
    [":80:80/tcp", ":80:90/tcp", true],
    ["127.0.0.1:80:80/tcp", "127.0.0.1:80:127.0.0.2:80/tcp", true],
    [":80:80/tcp", ":80:80/udp", false],
    [":80:80/tcp", ":80:80/tcp4", false],
    [":80:80/tcp", "0.0.0.0:80:80/tcp", false],
    ["127.0.0.2:80:80/tcp", "127.0.0.3:80:80/tcp", false],
    [":80:80/tcp", ":81:80/tcp", false],
    [":0:80/tcp", ":0:80/tcp", false],
  ])("%s and %s: %s", async (first, second, conflict) => {
    await table.add(port(first));
    const act = table.add(port(second));
    if (conflict)
      await expect(act).rejects.toThrow(expect.objectContaining({ code: "PORT", message: "conflict with ID 1" }));
    else expect((await act).id).toBe(2);
  });

  test("with a port that was picked", async () => {
    const { spec } = await table.add(port(":0:80"));
    expect(spec.parentPort).toBe(50_001);
    await expect(table.add(port(":50001:80"))).rejects.toThrow("conflict with ID 1");
  });

  test("within a set", async () => {
    await expect(table.addAll([port(":80:80"), port(":81:80"), port(":80:81")])).rejects.toThrow(
      "conflict: tcp :80 is there twice",
    );
    expect(driver.calls).toEqual([]);
  });
});

describe("two who ask for the same port at the same time:", () => {
  test("exactly one wins, and the other is told who", async () => {
    driver.slow = true;
    const asks = Promise.allSettled([table.add(port(":80:80")), table.add(port(":80:80"))]);
    await driver.release();
    expect(await asks).toMatchObject([
      { status: "fulfilled", value: { id: 1 } },
      { status: "rejected", reason: { message: "conflict with ID 1" } },
    ]);
    expect(driver.published).toEqual([":80:80/tcp"]);
  });

  test("the second gets it when the first fails", async () => {
    driver.slow = true;
    driver.failing.add(81);
    const set = table.addAll([port(":80:80"), port(":81:80")]);
    const asks = Promise.allSettled([set, table.add(port(":80:90"))]);
    await driver.release();
    expect(await asks).toMatchObject([{ reason: { message: "no 81" } }, { value: { id: 1, spec: port(":80:90") } }]);
    expect(driver.published).toEqual([":80:90/tcp"]);
  });

  test("sets that overlap crosswise don't wait for each other for ever", async () => {
    const sets = [[":80:1", ":81:1"], [":81:2", ":80:2"], [":81:3"]].map((texts) => table.addAll(texts.map(port)));
    expect((await Promise.allSettled(sets)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(driver.published).toEqual([":80:1/tcp", ":81:1/tcp"]);
  });
});

test("20 different ports are opened at the same time", async () => {
  driver.slow = true;
  const asks = Promise.all(Array.from({ length: 20 }, (_, index) => table.add(port(`:${1000 + index}:80`))));
  await turn();
  expect(driver.most).toBe(20);
  await driver.release();
  expect(new Set((await asks).map(({ id }) => id)).size).toBe(20);
});

describe("a set", () => {
  test("is published all or none", async () => {
    driver.failing.add(81);
    await expect(table.addAll([port(":80:80"), port(":81:80"), port(":82:80")])).rejects.toThrow("no 81");
    expect([driver.published, listed()]).toEqual([[], []]);
    driver.failing.clear();
    expect(await table.addAll([port(":80:80"), port(":81:80")])).toHaveLength(2);
  });

  test("with a spec that is wrong changes nothing", async () => {
    await expect(table.addAll([port(":80:80"), { ...port(":81:80"), childPort: 0 }])).rejects.toThrow(
      "invalid ChildPort: 0",
    );
    expect(driver.calls).toEqual([]);
  });
});

describe("remove", () => {
  test.each([99, 0, -1, 1.5, Number.NaN])("knows no id %d", async (id) => {
    await table.add(port(":80:80"));
    await expect(table.remove(id)).rejects.toThrow(
      expect.objectContaining({ code: "PORT", message: `unknown id: ${id}` }),
    );
  });

  test("happens once, however many ask", async () => {
    await table.add(port(":80:80"));
    driver.slow = true;
    const asks = Promise.allSettled([table.remove(1), table.remove(1)]);
    expect(table.list()).toEqual([]);
    await driver.release();
    expect(await asks).toMatchObject([{ status: "fulfilled" }, { reason: { message: "unknown id: 1" } }]);
  });

  test("of a port that is being added: there is no such id yet", async () => {
    driver.slow = true;
    const adding = table.add(port(":80:80"));
    await expect(table.remove(1)).rejects.toThrow("unknown id: 1");
    await driver.release();
    expect((await adding).id).toBe(1);
    await table.remove(1);
    expect(driver.published).toEqual([]);
  });

  test("has who wants the same port wait until it is free", async () => {
    await table.add(port(":80:80"));
    driver.slow = true;
    const removing = table.remove(1);
    const adding = table.add(port(":80:90"));
    await turn();
    expect(driver.calls).toEqual(["open 80", "close :80:80/tcp"]);
    await driver.release();
    await removing;
    expect(await adding).toEqual({ id: 2, spec: port(":80:90") });
  });

  test("that fails leaves the port where it was", async () => {
    await table.addAll([port(":80:80"), port(":81:80")]);
    driver.failing.add(0);
    const adding = table.remove(1).catch((error) => error);
    const conflicting = table.add(port(":80:80"));
    await expect(conflicting).rejects.toThrow("conflict with ID 1");
    expect(await adding).toMatchObject({ message: "cannot close" });
    expect(listed()).toEqual(["1 :80:80/tcp", "2 :81:80/tcp"]);
    driver.failing.clear();
    await table.remove(1);
    expect(listed()).toEqual(["2 :81:80/tcp"]);
  });
});

describe("closeAll", () => {
  test("ends every port, those that are being added included, and no more can be added", async () => {
    await table.addAll([port(":80:80"), port(":81:80")]);
    driver.slow = true;
    const asks = Promise.allSettled([
      table.add(port(":82:80")),
      table.add(port(":82:81")),
      table.closeAll(),
      table.add(port(":83:80")),
    ]);
    await driver.release();
    const refused = { reason: { code: "PORT", message: "no port can be added any more: the run ends" } };
    expect(await asks).toMatchObject([{ value: { id: 3 } }, refused, { status: "fulfilled" }, refused]);
    expect([driver.published, table.list()]).toEqual([[], []]);
  });

  test("goes on after a failure", async () => {
    await table.addAll([port(":80:80"), port(":81:80")]);
    driver.failing.add(0);
    await table.closeAll();
    expect(driver.calls.slice(2)).toEqual(["close :80:80/tcp", "close :81:80/tcp"]);
  });
});

test("counters go by id, whatever failed before", async () => {
  driver.failing.add(81);
  await table.add(port(":81:80")).catch(() => {});
  await table.add(port(":80:80"));
  expect(await table.counters()).toEqual(new Map([[1, expect.objectContaining({ open: 2 })]]));
});

test("a driver without counters has none here", () => {
  driver.counters = () => undefined as never;
  expect(table.counters()).toBeUndefined();
});

test("says once of each kind what ports lose", async () => {
  await table.addAll([port(":80:80"), port(":80:80/udp"), port(":81:80/udp"), port(":82:82/tcp6")]);
  expect(warnings).toEqual([expect.stringMatching(/^UDP clients/), expect.stringMatching(/^IPv6 clients/)]);
});

test("whatever is asked at the same time, the table and the driver agree in the end", async () => {
  const step = fc.oneof(
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }).map((ports) => ({ add: ports })),
    fc.integer({ min: 1, max: 8 }).map((id) => ({ remove: id })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), fc.integer({ min: 1, max: 5 }), async (steps, broken) => {
      driver = new FakeDriver();
      driver.failing.add(broken);
      table = new PortTable(driver, () => {});
      const asks = steps.map(async (what, index) => {
        for (let i = 0; i < index % 4; i += 1) await turn();
        if ("remove" in what) await table.remove(what.remove);
        else await table.addAll(what.add.map((parentPort) => port(`:${parentPort}:${index + 1}`)));
      });
      for (const result of await Promise.allSettled(asks)) {
        if (result.status === "rejected") expect(result.reason.message).toMatch(/^(no|conflict|unknown id)/);
      }
      expect(
        table
          .list()
          .map(({ spec }) => formatPortSpec(spec))
          .sort(),
      ).toEqual(driver.published);
      const taken = table.list().map(({ spec }) => spec.parentPort);
      expect(new Set(taken).size).toBe(taken.length);
      await table.closeAll();
      expect(driver.published).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

describe("when the target has ended", () => {
  const target = { owner: "target" } as const;

  test("its ports wait for the next one, and the user's are as before", async () => {
    await table.add(port(":80:80"), target);
    await table.add(port(":81:80"));
    table.targetEnded();
    expect([table.orphans, listed()]).toEqual([1, ["1 :80:80/tcp", "2 :81:80/tcp"]]);
    await expect(table.add(port(":81:80"), target)).rejects.toThrow("conflict with ID 2");
    expect(await table.dropOrphans()).toBe(1);
    expect([table.orphans, listed(), driver.published]).toEqual([0, ["2 :81:80/tcp"], [":81:80/tcp"]]);
  });

  test("who asks for the same port adopts it, with its id and listener", async () => {
    await table.addAll([port(":80:80"), port(":81:80")], target);
    table.targetEnded();
    expect(await table.add(port(":80:80"), target)).toEqual({ id: 1, spec: port(":80:80") });
    await expect(table.add(port(":80:80"), target)).rejects.toThrow("conflict with ID 1");
    expect(driver.calls).toEqual(["open 80", "open 81"]);
    table.targetReady();
    expect(await table.dropOrphans()).toBe(1);
    expect(listed()).toEqual(["1 :80:80/tcp"]);
    table.targetEnded();
    expect(table.orphans).toBe(1);
  });

  test("one that only listens at the same place makes room first", async () => {
    await table.add(port(":80:80"), target);
    table.targetEnded();
    expect(await table.add(port(":80:172.17.0.3:80"), target)).toMatchObject({ id: 2 });
    expect(driver.calls).toEqual(["open 80", "close :80:80/tcp", "open 80"]);
    expect(driver.published).toEqual([":80:172.17.0.3:80/tcp"]);
  });

  test("a port that was picked is not adopted by who asks for any", async () => {
    await table.add(port(":0:80"), target);
    table.targetEnded();
    expect(await table.add(port(":0:80"), target)).toMatchObject({ id: 2, spec: { parentPort: 50_002 } });
    expect(table.orphans).toBe(1);
  });

  test("a set adopts, replaces and opens, in its order", async () => {
    await table.addAll([port(":80:80"), port(":81:80")], target);
    table.targetEnded();
    const set = await table.addAll([port(":82:80"), port(":81:81"), port(":80:80")], target);
    expect(set.map(({ id, spec }) => [id, spec.parentPort])).toEqual([
      [3, 82],
      [4, 81],
      [1, 80],
    ]);
    expect(table.orphans).toBe(0);
  });

  test("a set that fails leaves the orphan that it would have adopted; later, none", async () => {
    await table.add(port(":80:80"), target);
    table.targetEnded();
    driver.failing.add(81);
    await expect(table.addAll([port(":80:80"), port(":81:80")], target)).rejects.toThrow("no 81");
    expect([table.orphans, listed()]).toEqual([1, ["1 :80:80/tcp"]]);
    driver.slow = true;
    const set = table.addAll([port(":80:80"), port(":81:80")], target).catch((error) => error.message);
    await turn();
    expect(await table.dropOrphans()).toBe(0);
    await driver.release();
    expect(await set).toBe("no 81");
    expect([table.list(), driver.published]).toEqual([[], []]);
  });

  test("a port that was being added for it is an orphan as well", async () => {
    driver.slow = true;
    const adding = table.add(port(":80:80"), target);
    await turn();
    table.targetEnded();
    await driver.release();
    await adding;
    expect(table.orphans).toBe(1);
  });

  test("an orphan can be removed, also while it is being claimed by a set", async () => {
    await table.addAll([port(":80:80"), port(":81:80")], target);
    table.targetEnded();
    await table.remove(2);
    driver.slow = true;
    const set = table.addAll([port(":80:80"), port(":82:80")], target);
    await turn();
    const removing = table.remove(1);
    await driver.release();
    expect((await set).map(({ id }) => id)).toEqual([1, 3]);
    await removing;
    expect([listed(), driver.published]).toEqual([["3 :82:80/tcp"], [":82:80/tcp"]]);
  });

  test("a port that was abandoned goes, unless the target has ended, or somebody has it again", async () => {
    await table.addAll([port(":80:80"), port(":81:80")], target);
    await table.abandon(1);
    expect(listed()).toEqual(["2 :81:80/tcp"]);
    const abandoned = table.abandon(2);
    table.targetEnded();
    await table.add(port(":81:80"), target);
    await abandoned;
    expect([table.orphans, listed()]).toEqual([0, ["2 :81:80/tcp"]]);
    const again = table.abandon(2);
    table.targetEnded();
    await again;
    expect(table.orphans).toBe(1);
  });
});
