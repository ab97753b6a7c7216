import { expect, test } from "vitest";
import { proxiesIn, withoutPassword } from "./proxy.ts";

test.each([
  [{}, undefined],
  [{ no_proxy: "*" }, undefined],
  [{ http_proxy: "" }, undefined],
  [{ http_proxy: "http://p:1" }, ["http://p:1", undefined, undefined]],
  [{ HTTPS_PROXY: "p:1", NO_PROXY: "localhost" }, [undefined, "http://p:1", "localhost"]],
  [{ https_proxy: "https://small:1", HTTPS_PROXY: "http://large:1" }, [undefined, "https://small:1", undefined]],
  [{ all_proxy: "p:1", http_proxy: "http://q:2" }, ["http://q:2", "http://p:1", undefined]],
])("%j", (env, expected) => {
  const found = proxiesIn(env);
  expect(found && [found.http, found.https, found.none]).toEqual(expected);
});

test.each(["socks5h://me:secret@p:1080", "http://", "ftp://p"])(
  "%s can't be used, and its password is not shown",
  (all_proxy) => {
    expect(() => proxiesIn({ all_proxy })).toThrow(/^all_proxy=.* is no proxy that can be used here$/);
    expect(() => proxiesIn({ all_proxy })).not.toThrow(/secret/);
  },
);

test("an address is shown without its password", () => {
  expect(withoutPassword("http://me:secret@proxy:3128")).toBe("http://…@proxy:3128");
  expect(withoutPassword("me:secret@proxy:3128")).toBe("…@proxy:3128");
  expect(withoutPassword("http://proxy:3128/a@b")).toBe("http://proxy:3128/a@b");
});
