import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { ARRAY_TAG, I32, STRING, U8_ARRAY } from "./ffi.ts";

const require = createRequire(import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const pinned = json("package.json").dependencies["ffi-rs"];

test("ffi-rs is pinned to an exact version, the one that is installed", () => {
  expect(pinned).toMatch(/^\d+\.\d+\.\d+$/);
  expect(json(require.resolve("ffi-rs/package.json")).version).toBe(pinned);
});

test("the numbers that rlkit gives to ffi-rs's binding are the ones that ffi-rs itself gives", () => {
  const { DataType, FFITypeTag } = require("ffi-rs");
  expect({ I32, STRING, U8_ARRAY, ARRAY_TAG }).toEqual({
    I32: DataType.I32,
    STRING: DataType.String,
    U8_ARRAY: DataType.U8Array,
    ARRAY_TAG: FFITypeTag.Array,
  });
});
