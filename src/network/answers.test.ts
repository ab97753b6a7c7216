import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Instruction } from "../plan/operations.ts";
import { Answers, solicit } from "./answers.ts";

const INDEX = 7;

let proc: string;
let asked: Instruction[];

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), "rlkit-answers-"));
  mkdirSync(join(proc, "42", "net"), { recursive: true });
  asked = [];
  tell(
    "dev",
    `Inter-|   Receive\n face |bytes    packets errs\n    lo:     100       9    0\n  tap0:  150000      30    0    0\n`,
  );
  tell(
    "igmp",
    `Idx\tDevice    : Count Querier\tGroup\n1\tlo        :     1      V3\n${INDEX}\ttap0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n`,
  );
});

afterEach(() => rmSync(proc, { recursive: true }));

const tell = (file: string, text: string): void => writeFileSync(join(proc, "42", "net", file), text);
const receive = (packets: number): void => tell("dev", `  tap0:  150000 ${packets} 0\n    lo: 1 1 0\n`);

/** Answers of a helper; `then` is what happens when it is asked. */
function answers(then: () => void, ifname = "tap0"): Answers {
  const run = async (instructions: readonly Instruction[]): Promise<number[]> => {
    asked.push(...instructions);
    then();
    return [0, 0];
  };
  return new Answers({ control: { run }, init: 42, ifname, address: "10.0.2.2", proc });
}

test("a packet that comes is an answer, however late", async () => {
  expect(await answers(() => receive(31)).within(1000)).toBe(true);
  expect(await answers(() => setTimeout(() => receive(32), 60)).within(1000)).toBe(true);
  expect(asked).toEqual([...solicit(INDEX, "10.0.2.2"), ...solicit(INDEX, "10.0.2.2")]);
});

test("without one there is none", async () => {
  expect(await answers(() => {}).within(50)).toBe(false);
});

test.each([
  ["there is no such interface", () => answers(() => {}, "eth9")],
  ["it is down", () => [tell("igmp", ""), answers(() => {})][1] as Answers],
  ["/proc tells nothing", () => [rmSync(join(proc, "42"), { recursive: true }), answers(() => {})][1] as Answers],
  ["init does not answer", () => answers(() => expect.unreachable("no init"))],
])("where %s nothing can be known, so nothing is wrong", async (_, make) => {
  expect(await make().within(50)).toBe(true);
});

test("the kernel is asked to probe the address, and to look for it if it is unknown", () => {
  const [probe, use] = solicit(INDEX, "10.0.2.2").map(({ op }) => (op[0] === "netlink" ? op[2].toString("hex") : ""));
  // struct nlmsghdr; struct ndmsg: AF_INET, the interface, NUD_PROBE; NDA_DST.
  expect(probe).toBe(
    [
      "24000000",
      "1c00",
      "0500",
      "01000000",
      "00000000",
      "02000000",
      "07000000",
      "10000000",
      "08000100",
      "0a000202",
    ].join(""),
  );
  // NLM_F_CREATE and NLM_F_REPLACE; NTF_USE.
  expect(use).toBe(
    [
      "24000000",
      "1c00",
      "0505",
      "01000000",
      "00000000",
      "02000000",
      "07000000",
      "00000100",
      "08000100",
      "0a000202",
    ].join(""),
  );
});
