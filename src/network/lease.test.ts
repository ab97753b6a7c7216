import { afterEach, expect, test, vi } from "vitest";
import type { Instruction } from "../plan/operations.ts";
import type { Wire } from "./datagram-wire.ts";
import type { Terms } from "./dhcp.ts";
import { Lease } from "./lease.ts";

const MAC = Buffer.from("021122334455", "hex");
const OFFER = 2;
const ACK = 5;
const NAK = 6;

/** What a server says to a question, as [type, address, seconds]; nothing: no answer. */
type Says = readonly [type: number, address?: string, lease?: number] | undefined;

/** A server that is asked by a DHCP client, with what it was asked: "1" (DISCOVER) or "3" (REQUEST), where, for which address. */
class Server implements Wire {
  readonly asked: string[] = [];
  closed = false;
  readonly #says: (question: string) => Says;
  readonly #router: boolean;
  #answer: Buffer | undefined;

  constructor(says: (question: string) => Says, router = true) {
    this.#says = says;
    this.#router = router;
  }

  async send(message: Buffer, to: string): Promise<void> {
    const type = message.readUInt8(242);
    const renews = [...message.subarray(12, 16)].join(".");
    const question = `${type} to ${to}${renews === "0.0.0.0" ? "" : ` for ${renews}`}`;
    this.asked.push(question);
    const says = this.#says(question);
    this.#answer = says && this.#message(message, says);
  }

  #message(question: Buffer, [type, address = "0.0.0.0", lease = 100]: NonNullable<Says>): Buffer {
    const head = Buffer.alloc(240);
    question.copy(head, 0, 0, 240);
    head.writeUInt8(2, 0);
    head.fill(0, 12, 16);
    head.set(address.split(".").map(Number), 16);
    const options = [
      [53, 1, type],
      [54, 4, 10, 0, 3, 1],
      [1, 4, 255, 255, 255, 0],
      [6, 4, 10, 0, 3, 1],
      [51, 4, 0, 0, 0, lease],
    ];
    if (this.#router) options.push([3, 4, 10, 0, 3, 1]);
    return Buffer.concat([head, Buffer.from([...options.flat(), 255])]);
  }

  async receive(milliseconds: number): Promise<Buffer | undefined> {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return undefined;
  }

  close(): void {
    this.closed = true;
  }
}

const leases: Lease[] = [];
afterEach(() => {
  for (const lease of leases.splice(0)) lease.close();
  vi.useRealTimers();
});

async function acquire(wire: Server) {
  const ran: Instruction[] = [];
  const learned: Terms[] = [];
  const control = {
    run: async (instructions: readonly Instruction[]) => {
      ran.push(...instructions);
      return instructions.map(() => 0);
    },
    spawn: () => Promise.reject(new Error("nothing is started")),
  };
  const lease = await Lease.acquire({
    control,
    pid: process.pid,
    ifname: "lo",
    mac: MAC,
    learned: (terms) => learned.push(terms),
    interrupted: () => {},
    wire,
  });
  leases.push(lease);
  return { lease, learned, addresses: () => ran.flatMap(({ op }) => (op[0] === "addr_add" ? [op[2]] : [])) };
}

const obliging = (question: string): Says => (question.startsWith("1") ? [OFFER, "10.0.3.77"] : [ACK, "10.0.3.77"]);

test("an address is asked for, taken up, and given to the interface", async () => {
  const server = new Server(obliging);
  const { addresses, learned } = await acquire(server);
  expect(server.asked).toEqual(["1 to 255.255.255.255", "3 to 255.255.255.255"]);
  expect(addresses()).toEqual(["10.0.3.77"]);
  expect(learned).toMatchObject([{ address: "10.0.3.77", nameServers: ["10.0.3.1"] }]);
});

test("an offer that is withdrawn is no lease; it is asked again", async () => {
  const server = new Server((question) =>
    question.startsWith("1") ? [OFFER, "10.0.3.77"] : server.asked.length < 3 ? [NAK] : [ACK, "10.0.3.77"],
  );
  await acquire(server);
  expect(server.asked.map((question) => question[0]).join("")).toBe("1313");
});

test("without an answer within 30 s there is an error that says so", async () => {
  vi.useFakeTimers();
  const server = new Server(() => undefined);
  const failed = expect(acquire(server)).rejects.toMatchObject({
    message: "no DHCP server answered on lo within 30 s",
    hint: expect.stringContaining("lxc-net"),
  });
  await vi.advanceTimersByTimeAsync(31_000);
  await failed;
  expect(server.asked.length).toBeGreaterThan(4);
  expect(server.closed).toBe(true);
});

test("a server that names no router is of no use", async () => {
  await expect(acquire(new Server(obliging, false))).rejects.toThrow("the DHCP server at 10.0.3.1 names no router");
});

test("after half of its time it is renewed, by its server", async () => {
  vi.useFakeTimers();
  const server = new Server(obliging);
  const { lease, learned } = await acquire(server);
  lease.keep();
  await vi.advanceTimersByTimeAsync(49_000);
  expect(server.asked).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(2000);
  expect(server.asked.slice(2)).toEqual(["3 to 10.0.3.1 for 10.0.3.77"]);
  expect(learned).toHaveLength(2);
  expect(lease.degraded).toBeUndefined();
});

test("a server that is silent is asked again, then any server, and at the end for another address", async () => {
  vi.useFakeTimers();
  let silent = false;
  const server = new Server((question) => (silent ? undefined : obliging(question)));
  const { lease } = await acquire(server);
  lease.keep();
  silent = true;
  await vi.advanceTimersByTimeAsync(101_000);
  const [first, ...more] = server.asked.slice(2);
  expect(first).toBe("3 to 10.0.3.1 for 10.0.3.77");
  expect(more).toContain("3 to 255.255.255.255 for 10.0.3.77");
  expect(more.at(-1)).toBe("1 to 255.255.255.255");
  expect(lease.degraded).toMatch(/^lo: the DHCP server does not renew the address/);
  silent = false;
  await vi.advanceTimersByTimeAsync(31_000);
  expect(lease.degraded).toBeUndefined();
});

test("an address that the server takes away is replaced by what it gives", async () => {
  vi.useFakeTimers();
  let address = "10.0.3.77";
  const server = new Server((question) =>
    question.startsWith("1") ? [OFFER, address] : question.includes("for") ? [NAK] : [ACK, address],
  );
  const { lease, addresses } = await acquire(server);
  lease.keep();
  address = "10.0.3.88";
  await vi.advanceTimersByTimeAsync(60_000);
  expect(addresses()).toEqual(["10.0.3.77", "10.0.3.88"]);
});

test("closed, it asks no more", async () => {
  vi.useFakeTimers();
  const server = new Server(obliging);
  const { lease } = await acquire(server);
  lease.keep();
  lease.close();
  await vi.advanceTimersByTimeAsync(200_000);
  expect(server.asked).toHaveLength(2);
});
