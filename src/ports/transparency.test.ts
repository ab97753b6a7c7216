import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { describe, expect, test } from "vitest";
import { SyscallError } from "../errors.ts";
import type { Instruction, Operation } from "../plan/operations.ts";
import { installTransparency } from "./transparency.ts";
import { type IpVersion, nftMarking, type Part, routing, unrouting } from "./transparency-rules.ts";

const { EROFS, ENOENT, EEXIST, EOPNOTSUPP, EAFNOSUPPORT } = constants.errno;

/** The messages of an operation, one string each; without their numbers and whether they are to be acknowledged. */
function messages(bytes: Buffer): string[] {
  const all: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    const message = Buffer.from(bytes.subarray(at, at + length));
    message.writeUInt16LE(message.readUInt16LE(6) & ~4, 6);
    message.writeUInt32LE(0, 8);
    all.push(message.toString("hex"));
    at += (length + 3) & ~3;
  }
  return all;
}

const bytesOf = ({ op }: Pick<Part, "op">): Buffer => (op[0] === "netlink" ? op[2] : expect.unreachable(op[0]));

describe("the messages are byte for byte those of", () => {
  const fixture = readFileSync("test/fixtures/transparency-messages.tsv", "utf8");
  const recorded = fixture.split("\n").flatMap((line) => {
    const [program = "", version, hex = ""] = line.split("\t");
    return version === undefined
      ? []
      : [{ program, version: Number(version) as IpVersion, bytes: Buffer.from(hex, "hex") }];
  });

  test.each(recorded.filter(({ program }) => program === "nft"))("nft for IPv$version", ({ version, bytes }) => {
    expect(messages(bytesOf(nftMarking(version)))).toEqual(messages(bytes));
  });

  test.each(recorded.filter(({ program }) => program === "rule"))("ip rule for IPv$version", ({ version, bytes }) => {
    const part = routing(version).find(({ mayFail }) => mayFail === "EEXIST");
    expect(messages(bytesOf(part ?? expect.unreachable()))).toEqual(messages(bytes));
  });
});

test("all but the batch's frame ask for an answer: what is refused is noticed", () => {
  const flags = (bytes: Buffer) => {
    const all: boolean[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at)) all.push((bytes.readUInt16LE(at + 6) & 4) !== 0);
    return all;
  };
  expect(flags(bytesOf(nftMarking(4)))).toEqual([false, ...Array(7).fill(true), false]);
  const netlink = routing(6).filter(({ op }) => op[0] === "netlink");
  expect(netlink.map((part) => flags(bytesOf(part)))).toEqual([[true], [true]]);
  expect(unrouting(6).map((op) => flags(bytesOf({ op })))).toEqual([[true], [true]]);
});

/** What an operation is about, in a word. */
function word(op: Operation): string {
  if (op[0] === "write_file") return op[1].replace("/proc/sys/net/", "");
  if (op[0] !== "netlink") return op[0];
  const [family, bytes] = [op[1], op[2]];
  const at = family === 12 ? 36 : 16; // behind the header; of a batch, of its second message
  const version = bytes.readUInt8(at) === 2 ? 4 : 6;
  const name =
    family === 12 ? "nft" : ({ 24: "route", 25: "-route", 32: "rule", 33: "-rule" }[bytes.readUInt16LE(4)] ?? "?");
  return name + version;
}

/** An inside in which some things fail, and what was done in it that did not. */
function inside(failing: Readonly<Record<string, number>>, programs: (argv: string) => string | number = () => 0) {
  const done: string[] = [];
  return {
    done,
    async run(instructions: readonly Instruction[]) {
      const results: number[] = [];
      for (const { op, mayFail } of instructions) {
        const name = word(op);
        results.push(-(failing[name] ?? 0));
        if (failing[name] === undefined) done.push(name);
        else if (!mayFail) break;
      }
      return results;
    },
    async execute(argv: readonly string[]) {
      const result = programs(argv.join(" "));
      if (result === 127) throw new SyscallError("exec", "ENOENT", argv[0]);
      if (result === 0) done.push(`${argv[0]} ${argv[5]} ${argv[6]}`);
      return typeof result === "number" ? { status: result, output: "" } : { status: 1, output: result };
    },
  };
}

const sysctls4 = ["ipv4/tcp_fwmark_accept", "ipv4/tcp_max_tw_buckets", "ipv4/fwmark_reflect"];
const routed4 = [...sysctls4, "rule4", "route4"];
const routed6 = ["ipv6/fwmark_reflect", "rule6", "route6"];

describe("installTransparency", () => {
  test("nftables by preference, both IP versions, and no program", async () => {
    const to = inside({}, () => expect.unreachable("no program is needed"));
    expect(await installTransparency(to, "auto")).toEqual({ backend: "nft", ipv6: true, reasons: [] });
    expect(to.done).toEqual([...routed4, "nft4", ...routed6, "nft6"]);
  });

  test("a rule that is there already is as good", async () => {
    const to = inside({ rule4: EEXIST, rule6: EEXIST });
    expect(await installTransparency(to, "auto")).toMatchObject({ backend: "nft", ipv6: true });
  });

  test("a kernel that limits TIME_WAIT for all namespaces together is no obstacle", async () => {
    const to = inside({ "ipv4/tcp_max_tw_buckets": ENOENT });
    expect(await installTransparency(to, "auto")).toEqual({ backend: "nft", ipv6: true, reasons: [] });
  });

  test("iptables where the kernel has no nftables", async () => {
    const to = inside({ nft4: EOPNOTSUPP, nft6: EOPNOTSUPP });
    expect(await installTransparency(to, "auto")).toEqual({
      backend: "iptables",
      ipv6: true,
      reasons: ["cannot add the IPv4 nftables rules: ENOTSUP"],
    });
    expect(to.done.filter((name) => name.startsWith("ip"))).toEqual([
      ...sysctls4,
      ...sysctls4,
      ...["iptables --append OUTPUT", "iptables --append PREROUTING"],
      ...["ipv6/fwmark_reflect", "ip6tables --append OUTPUT", "ip6tables --append PREROUTING"],
    ]);
  });

  test("neither: why not, of each, and the routing is gone", async () => {
    const to = inside({ nft4: EOPNOTSUPP }, () => 127);
    expect(await installTransparency(to, "auto")).toEqual({
      backend: "none",
      ipv6: false,
      reasons: ["cannot add the IPv4 nftables rules: ENOTSUP", "iptables: not found"],
    });
    expect(to.done.slice(-2)).toEqual(["-rule4", "-route4"]);
  });

  test("of iptables' rules all or none", async () => {
    const refusal = "iptables: No chain/target/match by that name.\nTry `iptables -h'";
    const to = inside({}, (argv) => (argv.includes("--append PREROUTING") ? refusal : 0));
    const { backend, reasons } = await installTransparency(to, "iptables");
    expect(backend).toBe("none");
    expect(reasons).toEqual(["iptables: No chain/target/match by that name."]);
    expect(to.done.slice(routed4.length)).toEqual([
      ...["iptables --append OUTPUT", "iptables --delete OUTPUT", "iptables --delete PREROUTING"],
      ...["-rule4", "-route4"],
    ]);
  });

  test.each([
    ["nft", { nft4: EOPNOTSUPP }],
    ["iptables", {}],
  ] as const)("only %s when it is asked for", async (wanted, failing) => {
    const to = inside(failing, () => (wanted === "nft" ? expect.unreachable("iptables was not asked for") : 127));
    expect(await installTransparency(to, wanted)).toMatchObject({ backend: "none" });
    expect(to.done).not.toContain("nft4");
  });

  test("without IPv6, or without its part of it, IPv4 works, and nothing of IPv6 is left", async () => {
    const to = inside({ rule6: EAFNOSUPPORT });
    expect(await installTransparency(to, "auto")).toEqual({
      backend: "nft",
      ipv6: false,
      reasons: ["cannot add the IPv6 routing rule: EAFNOSUPPORT"],
    });
    const marking = inside({ nft6: EOPNOTSUPP });
    expect(await installTransparency(marking, "auto")).toMatchObject({ backend: "nft", ipv6: false });
    expect(marking.done.slice(-2)).toEqual(["-rule6", "-route6"]);
  });

  test("a read-only /proc/sys is named once", async () => {
    const to = inside({ "ipv4/tcp_fwmark_accept": EROFS });
    expect(await installTransparency(to, "auto")).toEqual({
      backend: "none",
      ipv6: false,
      reasons: ["cannot write /proc/sys/net/ipv4/tcp_fwmark_accept: EROFS"],
    });
  });
});
