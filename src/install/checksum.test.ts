import { expect, test } from "vitest";
import { checkSum, sumIn } from "./checksum.ts";

const [A, B] = ["a".repeat(64), "b".repeat(64)];

test.each([
  [`${A}  docker-1.tgz\n`, A],
  [`${A} *docker-1.tgz\n`, A],
  [`${B}  other.tgz\n${A}  docker-1.tgz\n`, A],
  [`${A}  dir/docker-1.tgz\n`, A],
  [`${A.toUpperCase()}\n`, A],
  [`SHA256 (docker-1.tgz) = ${A}\n`, A],
  [`${B}  other.tgz\n`, undefined],
  ["<html>404</html>", undefined],
  [`${A.slice(1)}  docker-1.tgz\n`, undefined],
  ["", undefined],
])("%j says about docker-1.tgz: %s", (text, sum) => {
  expect(sumIn(text, "docker-1.tgz")).toBe(sum);
});

test("a wrong sum is a sentence with both", () => {
  const check = () => checkSum("docker-1.tgz", B, { sha256: A, from: "--sha256" });
  expect(check).toThrow(`docker-1.tgz has the wrong checksum: its SHA-256 is ${B}, and --sha256 says ${A}`);
  expect(() => checkSum("docker-1.tgz", A, { sha256: A, from: "--sha256" })).not.toThrow();
});
