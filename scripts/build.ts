// Leaves the runnable tree in dist/: bin/rlkit (which starts Node) and the other names that it goes by, lib/ (the bundle, its code cache, ffi-rs's binding, librlkit.so), libexec/rlkit-ns, share/ (the help's topics, man pages).
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { groups, loadAllCommands } from "../src/cli/commands.ts";
import { topics } from "../src/help/topics.ts";
import { manPages } from "../src/man/pages.ts";

const top = join(import.meta.dirname, "..");
const dist = join(top, "dist");
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(join(top, "package.json"), "utf8")) as { version: string };

/** ffi-rs's binding for this platform, from the optional package that npm chose. */
function ffiBinding(): string {
  const libc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime;
  const platform = `linux-${process.arch}-${libc === undefined ? "musl" : "gnu"}`;
  return require.resolve(`@yuuang/ffi-rs-${platform}/ffi-rs.${platform}.node`);
}

/**
 * Libraries that a start does not need lie beside the bundle, each in a file of its own: reading them with every start took
 * 2 of 35 ms.
 */
const later = [
  "cli-progress",
  "cli-table3",
  "fastest-levenshtein",
  "pino",
  "pino-pretty",
  "prom-client",
  "tar-stream",
  "undici",
  "yargs",
];

const besideTheBundle: Plugin = {
  name: "libraries beside the bundle",
  setup({ onResolve }) {
    const filter = new RegExp(`^(${later.join("|")})$`);
    onResolve({ filter }, ({ path, kind }) =>
      kind === "entry-point" ? undefined : { path: `./${path}.cjs`, external: true },
    );
  },
};

/** What rlkit is called in place of (src/main.ts). */
const names = [
  "rootlesskit",
  "rootlessctl",
  "dockerd-rootless.sh",
  "dockerd-rootless-setuptool.sh",
  "containerd-rootless.sh",
];

function link(text: string, path: string): void {
  rmSync(path, { force: true });
  symlinkSync(text, path);
}

/** A library's default export is what require() returns, also for an ES module: so the bundle imports it, as Node would. */
const defaultExport =
  "if(module.exports.__esModule&&module.exports.default)module.exports=Object.assign(module.exports.default,module.exports);";

async function bundle(entry: string, name: string): Promise<void> {
  await build({
    entryPoints: [entry],
    plugins: [besideTheBundle],
    outfile: join(dist, "lib", name),
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.19",
    charset: "ascii",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    logLevel: "warning",
    // The code cache is loaded by vm.Script, in which import() has no loader; of built-in modules it would be left as it is.
    supported: { "dynamic-import": false },
    define: { __VERSION__: JSON.stringify(version), "import.meta.url": "__bundleUrl" },
    ...(later.includes(entry) && { footer: { js: defaultExport } }),
    banner: { js: 'var __bundleUrl="file://"+encodeURI(__filename);' },
  });
}

/** The code cache belongs to one Node version: that of the `node` that will run rlkit, not of the one that builds it. */
function writeCodeCache(): void {
  // npm puts the pinned development Node first on PATH; the one that npm itself runs on is the machine's.
  const node = process.env.RLKIT_NODE ?? process.env.npm_node_execpath ?? "node";
  // A map of one's own ids alone can be planned by everyone, sub-ids or not.
  const maps = [`--uid-map=0:${process.getuid?.()}:1`, `--gid-map=0:${process.getgid?.()}:1`];
  const cache = join(dist, "lib", "rlkit.cjs.cache");
  execFileSync(
    node,
    [join(dist, "lib", "boot.cjs"), "rlkit", "run", "--log-level=error", "--net=host", ...maps, "--", "true"],
    {
      env: { PATH: process.env.PATH, RLKIT_WRITE_CODE_CACHE: cache },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
}

/** What `rlkit help TOPIC` shows. */
function copyTopics(): void {
  const to = join(dist, "share", "rlkit", "topics");
  rmSync(to, { recursive: true, force: true });
  cpSync(join(top, "docs", "topics"), to, { recursive: true });
}

/** Pages for man(1), from the tables of commands and options, the topics and the README. */
async function writeManPages(): Promise<void> {
  const text = (path: string): string => readFileSync(join(top, path), "utf8");
  const pages = manPages({
    version,
    commands: await loadAllCommands(),
    groups,
    topics: topics.map((topic) => ({ ...topic, text: text(`docs/topics/${topic.name}.md`) })),
    readme: text("README.md"),
  });
  const man = join(dist, "share", "man");
  rmSync(man, { recursive: true, force: true });
  for (const number of [1, 7]) mkdirSync(join(man, `man${number}`), { recursive: true });
  for (const page of pages) writeFileSync(join(man, `man${page.section}`, `${page.name}.${page.section}`), page.text);
}

rmSync(join(dist, "lib", "rlkit.cjs.cache"), { force: true });
mkdirSync(join(dist, "lib"), { recursive: true });
await Promise.all([
  bundle(join(top, "src", "main.ts"), "rlkit.cjs"),
  bundle(join(top, "src", "boot.ts"), "boot.cjs"),
  ...later.map((library) => bundle(library, `${library}.cjs`)),
]);
execFileSync("make", ["-s", "-C", join(top, "native"), `OUT=${dist}`, "all"], { stdio: "inherit" });
for (const name of names) link("rlkit", join(dist, "bin", name));
rmSync(join(dist, "lib", "ffi-rs.node"), { force: true });
copyFileSync(ffiBinding(), join(dist, "lib", "ffi-rs.node"));
copyTopics();
await writeManPages();
writeCodeCache();
