import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import { home } from "./paths.ts";

// ffi-rs 1.3.7, pinned: its platform package's binding is opened directly, which costs 0.5 ms where require("ffi-rs") costs
// 7 to 12 (it writes a process report). The numbers below are ffi-rs's own; ffi.test.ts fails when an update changes them.
export const STRING = 0;
export const U8_ARRAY = 10;
export const I32 = 1;
export const ARRAY_TAG = 997;

interface Load {
  library: string;
  funcName: string;
  retType: number;
  paramsType: unknown[];
  paramsValue: (number | string | Buffer)[];
  freeResultMemory: boolean;
}

interface Binding {
  open(options: { library: string; path: string }): void;
  load(options: Load): number;
}

let binding: Binding | undefined;

function open(): Binding {
  const module = { exports: {} as Binding };
  const library = join(home(), "lib", "librlkit.so");
  try {
    process.dlopen(module, join(home(), "lib", "ffi-rs.node"));
    // `load` before `open` aborts the process, so nothing else may hold the binding.
    module.exports.open({ library: "rlkit", path: library });
  } catch (cause) {
    throw new RlkitError("BUILD", `cannot load ${library}: ${(cause as Error).message}`, {
      hint: "build it again with: npm run build",
      cause,
    });
  }
  return module.exports;
}

/**
 * Calls a function of librlkit.so on the calling (main) thread. Only 32-bit integers, Buffers and, where
 * a thousand Buffers would weigh (20 µs each, when they are collected), strings without NUL are passed: ffi-rs crashes on some
 * struct sizes and cuts strings at NUL. Returns what C returned: >= 0, or -errno.
 */
export function ffi(name: string, ...args: (number | string | Buffer)[]): number {
  binding ??= open();
  return binding.load({
    library: "rlkit",
    funcName: name,
    retType: I32,
    paramsType: args.map((arg) => {
      if (typeof arg === "number") return I32;
      return typeof arg === "string" ? STRING : { ffiTypeTag: ARRAY_TAG, type: U8_ARRAY, length: arg.length };
    }),
    paramsValue: args,
    freeResultMemory: false,
  });
}
