import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { type RunResult, readDelegation, type SubidIo, type SubidSource, subidService } from "./source.ts";

const alice = { name: "alice", uid: 1001 };
const failed: RunResult = { status: 1, stdout: "", stderr: "Error fetching ranges\n" };
const printed = (stdout: string): RunResult => ({ status: 0, stdout, stderr: "" });

/** A machine with these files, on which these command lines succeed. */
function machine(files: Record<string, string>, answers: Record<string, RunResult> = {}, env = {}) {
  const asked: string[] = [];
  const io: SubidIo = {
    env,
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
      return text;
    },
    run(argv) {
      asked.push(argv.join(" "));
      return answers[argv.join(" ")] ?? failed;
    },
  };
  const ranges = (source: SubidSource, user: { name: string | undefined; uid: number } = alice) => {
    const { uid, gid } = readDelegation(source, user, io);
    const short = (list: { start: number; length: number }[]): string =>
      list.map(({ start, length }) => `${start}:${length}`).join(" ");
    return { uid: short(uid.ranges), gid: short(gid.ranges), from: [uid.from, gid.from] };
  };
  return { ranges, asked };
}

const files = { "/etc/subuid": "alice:100000:65536\n", "/etc/subgid": "1001:200000:65536\n" };

describe("the static source", () => {
  test("reads both files, by name and by uid, and starts no program", () => {
    const { ranges, asked } = machine(files);
    expect(ranges("static")).toEqual({
      uid: "100000:65536",
      gid: "200000:65536",
      from: ["/etc/subuid", "/etc/subgid"],
    });
    expect(asked).toEqual([]);
  });

  test("counts a range that is there by name and by uid once", () => {
    const text = "alice:100000:65536\n1001:100000:65536\n";
    expect(machine({ "/etc/subuid": text, "/etc/subgid": text }).ranges("static").uid).toBe("100000:65536");
  });

  test("finds a user without name by uid", () => {
    const { uid, gid } = machine(files).ranges("static", { name: undefined, uid: 1001 });
    expect([uid, gid]).toEqual(["", "200000:65536"]);
  });

  test("gives no ranges where a file is missing, and says so", () => {
    expect(machine({ "/etc/subuid": "alice:1:1\n" }).ranges("static")).toEqual({
      uid: "1:1",
      gid: "",
      from: ["/etc/subuid", "/etc/subgid (no such file)"],
    });
  });

  test("passes on why a file cannot be read", () => {
    const io: SubidIo = {
      env: {},
      run: () => failed,
      readFile() {
        throw Object.assign(new Error("EACCES"), { code: "EACCES" });
      },
    };
    expect(() => readDelegation("static", alice, io)).toThrow("EACCES");
  });
});

describe("the dynamic source", () => {
  test("joins what getsubids says for the name and for the uid, names first, no id twice", () => {
    const { ranges, asked } = machine(
      {},
      {
        "getsubids alice": printed("0: alice 100000 65536\n1: alice 300000 10\n"),
        "getsubids 1001": printed("0: 1001 400000 5\n1: 1001 100000 65536\n"),
        "getsubids -g alice": failed,
        "getsubids -g 1001": printed("0: 1001 200000 65536\n"),
      },
    );
    expect(ranges("dynamic")).toEqual({
      uid: "100000:65536 300000:10 400000:5",
      gid: "200000:65536",
      from: ["getsubids", "getsubids"],
    });
    expect(asked).toEqual(["getsubids alice", "getsubids 1001", "getsubids -g alice", "getsubids -g 1001"]);
  });

  test("runs the program that $GETSUBIDS names", () => {
    const { ranges, asked } = machine({}, {}, { GETSUBIDS: "/opt/getsubids" });
    expect(() => ranges("dynamic")).toThrow();
    expect(asked[0]).toBe("/opt/getsubids alice");
  });

  test("asks only for the uid where there is no name", () => {
    const { ranges, asked } = machine(
      {},
      { "getsubids 1001": printed("0: 1001 1 2\n"), "getsubids -g 1001": printed("") },
    );
    expect(ranges("dynamic", { name: undefined, uid: 1001 })).toMatchObject({ uid: "1:2", gid: "" });
    expect(asked).toEqual(["getsubids 1001", "getsubids -g 1001"]);
  });

  test("passes over notes between the ranges", () => {
    const output = "No usable subid NSS module found, using files\n0: DOM\\the alice 1 2\n";
    const { ranges } = machine({}, { "getsubids alice": printed(output), "getsubids -g alice": printed(output) });
    expect(ranges("dynamic").uid).toBe("1:2");
  });

  test.each([
    [
      "the program's own words",
      failed,
      "getsubids alice: Error fetching ranges; getsubids 1001: Error fetching ranges",
    ],
    [
      "its exit status if it said nothing",
      { ...failed, stderr: "" },
      "getsubids alice: exit status 1; getsubids 1001: exit status 1",
    ],
    [
      "what it said instead of ranges",
      printed("usage: ...\n -g\n"),
      "getsubids alice: usage: ...; getsubids 1001: usage: ...",
    ],
    [
      "a range that is none",
      printed("0: a 5 4294967295\n"),
      "getsubids alice: 0: a 5 4294967295; getsubids 1001: 0: a 5 4294967295",
    ],
  ])("fails for name and uid with %s", (_, answer, said) => {
    const { ranges } = machine({}, { "getsubids alice": answer, "getsubids 1001": answer });
    expect(() => ranges("dynamic")).toThrow(
      new RlkitError("GETSUBIDS", `cannot get the sub-ids: ${said}`, {
        hint: "read /etc/subuid and /etc/subgid instead with: --subid-source=static",
      }),
    );
  });
});

describe("the automatic source", () => {
  const sss = { ...files, "/etc/nsswitch.conf": "passwd: files sss\nsubid: sss\n" };
  const answers = {
    "getsubids alice": printed("0: alice 900000 65536\n"),
    "getsubids -g alice": printed("0: alice 900000 65536\n"),
  };

  test.each([
    ["names no service", "passwd: files\n"],
    ["names the files", "subid: files\n"],
  ])("reads the files and starts no program where nsswitch.conf %s", (_, nsswitch) => {
    const { ranges, asked } = machine({ ...files, "/etc/nsswitch.conf": nsswitch }, answers);
    expect(ranges("auto").uid).toBe("100000:65536");
    expect(asked).toEqual([]);
  });

  test("reads the files where there is no nsswitch.conf", () => {
    expect(machine(files, answers).ranges("auto").uid).toBe("100000:65536");
  });

  test("asks getsubids where nsswitch.conf names a service", () => {
    expect(machine(sss, answers).ranges("auto")).toEqual({
      uid: "900000:65536",
      gid: "900000:65536",
      from: ["getsubids", "getsubids"],
    });
  });

  test.each([
    ["fails", {}],
    ["knows no gids", { ...answers, "getsubids -g alice": printed("") }],
    ["knows no uids", { ...answers, "getsubids alice": printed("") }],
    ["is missing", { "getsubids alice": { status: 127, stdout: "", stderr: "ENOENT" } }],
  ])("reads both files where the service %s", (_, some) => {
    expect(machine(sss, some).ranges("auto")).toEqual({
      uid: "100000:65536",
      gid: "200000:65536",
      from: ["/etc/subuid, as getsubids (sss) gave none", "/etc/subgid, as getsubids (sss) gave none"],
    });
  });

  test("does not hide a malformed line behind the fallback", () => {
    const broken = { ...sss, "/etc/subuid": "alice:oops:1\n" };
    expect(() => machine(broken).ranges("auto")).toThrow('/etc/subuid line 1: "alice:oops:1"');
  });
});

describe("subidService", () => {
  test.each([
    ["subid: sss\n", "sss"],
    ["passwd: files\nSUBID:\tsss files", "sss"],
    ["subid: files\nsubid: sss\n", undefined],
    ["subid:\nsubid: ldap\n", "ldap"],
    ["#subid: sss\n", undefined],
    [" subid: sss\n", undefined],
    ["subids: sss\n", undefined],
    ["", undefined],
  ])("finds in %j %s", (text, service) => {
    expect(subidService(text)).toBe(service);
  });
});
