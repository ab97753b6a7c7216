// The first thing Node runs: loads the bundle beside it with V8's code cache. Without the cache the bundle's 40 lazily loaded
// modules would be parsed at each start. A cache of another Node version is refused by V8 and only costs its reading.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Script } from "node:vm";

const bundle = join(__dirname, "rlkit.cjs");
const parameters = "exports,require,module,__filename,__dirname";
// latin1: the bundle is ASCII, and V8 then keeps one byte a character.
const source = `(function(${parameters}){${readFileSync(bundle, "latin1")}\n})`;

let cachedData: Buffer | undefined;
try {
  cachedData = readFileSync(`${bundle}.cache`);
} catch {
  // No cache beside the bundle: slower, and nothing else.
}

const script = new Script(source, { filename: bundle, ...(cachedData && { cachedData }) });
const module_ = { exports: {} };
script.runInThisContext()(module_.exports, createRequire(bundle), module_, bundle, __dirname);

// scripts/build.ts asks for the cache after a representative run, so that it holds what that run has compiled.
const cacheFile = process.env.RLKIT_WRITE_CODE_CACHE;
if (cacheFile !== undefined) process.on("exit", () => writeFileSync(cacheFile, script.createCachedData()));
