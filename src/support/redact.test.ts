import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { redact, redactEnvironment } from "./redact.ts";

test.each([
  ["REGISTRY_TOKEN=abc def", "REGISTRY_TOKEN=***"],
  ["DB_PASSWORD=a=b", "DB_PASSWORD=***"],
  ['{"auths": {"x": 1}, "apiKey" : "a\\"b", "n": 1}', '{"auths": {"x": 1}, "apiKey" : "***", "n": 1}'],
  ['{"secretNumber":42}', '{"secretNumber":"***"}'],
  ["dockerd --registry-token=abc --mtu=1500", "dockerd --registry-token=*** --mtu=1500"],
  ["dockerd --auth-password abc --debug", "dockerd --auth-password *** --debug"],
  ["via http://me:pass@proxy:3128/", "via http://***@proxy:3128/"],
  ["Authorization: Bearer abc.def", "Authorization: Bearer ***"],
  ["-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nrest", "***\nrest"],
  ["-----BEGIN PRIVATE KEY-----\nabc, and no end", "***"],
  ["eyJhbGciOi.eyJzdWIi.c2ln", "***"],
])("%j becomes %j", (text, expected) => {
  expect(redact(text)).toBe(expected);
});

test("what is no secret stays", () => {
  for (const text of ["PATH=/usr/bin:/bin", '{"mtu": 1500, "hosts": ["unix:///x"]}', "https://example.com/a@b"]) {
    expect(redact(text)).toBe(text);
  }
});

describe("no secret survives", () => {
  const words = fc.constantFrom("TOKEN", "Password", "passwd", "SECRET", "api_key", "AUTH", "credential");
  const name = fc
    .tuple(fc.constantFrom("", "MY_", "x-"), words, fc.constantFrom("", "_2"))
    .map((parts) => parts.join(""));
  const planted = fc.stringMatching(/^Zq[A-Za-z0-9+/.!$%-]{6,20}$/);

  test("in an environment", () => {
    fc.assert(
      fc.property(name, planted, fc.string(), (key, value, more) => {
        expect(redactEnvironment({ [key]: `${value}\n${more}` })).not.toContain(value);
        expect(redactEnvironment({ HTTP_PROXY: `http://u:${encodeURIComponent(value)}@h:1` })).not.toContain(
          encodeURIComponent(value),
        );
      }),
    );
  });

  test("in JSON, on a command line, in an environment as text", () => {
    fc.assert(
      fc.property(name, planted, (key, value) => {
        expect(redact(JSON.stringify({ a: { [key]: value } }, undefined, 2))).not.toContain(value);
        expect(redact(JSON.stringify({ command: ["x", `--${key}=${value}`] }))).not.toContain(value);
        expect(redact(JSON.stringify({ env: [`${key}="a b" ${value}`] }))).not.toContain(value);
        expect(redact(`x --${key} ${value} y`)).not.toContain(value);
        expect(redact(`a=b\n${key}=${value}\nc=d`)).not.toContain(value);
      }),
    );
  });
});
