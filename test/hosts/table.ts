import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cell, dimensions } from "./cells.ts";
import { upHost } from "./host.ts";
import type { Podman } from "./podman.ts";

const DOCUMENT = join(import.meta.dirname, "..", "..", "docs", "compatibility.md");
const [BEGIN, END] = ["<!-- matrix -->", "<!-- /matrix -->"];

export interface Outcome {
  readonly cell: Cell;
  /** Why the cell can't be had, for a reason outside rlkit. */
  readonly notHere?: string;
  readonly failed: readonly string[];
}

/** What a suite has, by the programs' names. */
type Versions = Readonly<Record<string, string>>;

const packages = {
  dockerd: "docker.io",
  containerd: "containerd",
  slirp4netns: "slirp4netns",
  pasta: "passt",
  "fuse-overlayfs": "fuse-overlayfs",
  iptables: "iptables",
  RootlessKit: "rootlesskit",
};

/** The versions of a suite's packages, without Debian's part of them, and of the Node on which rlkit runs there. */
export async function versionsOf(suite: Cell["suite"]): Promise<Versions> {
  await using host = await upHost(suite);
  const versions: Record<string, string> = { suite };
  for (const [name, debian] of Object.entries(packages)) {
    const version = await host.root("dpkg-query", "--show", debian);
    // Without the package's name, an epoch, and Debian's part.
    versions[name] = version
      .trim()
      .replace(/^\S+\s+(\d+:)?(0\.0~git)?/, "")
      .replace(/[-+~](dfsg|ds|\d|b\d|deb).*$/, "");
  }
  versions.Node = (await host.sh("node --version")).trim().slice(1);
  return versions;
}

/** Rows as a Markdown table that can be read as it is. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((field) => field.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => `| ${row.map((field, i) => field.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [first = [], ...others] = all;
  return [first, widths.map((width) => "-".repeat(width)), ...others].map(line).join("\n");
}

/** The results and what was tried, as Markdown. */
export function matrixText(
  outcomes: readonly Outcome[],
  podman: readonly Podman[],
  versions: readonly Versions[],
): string {
  const storages = dimensions.storage.filter((storage) => outcomes.some(({ cell }) => cell.storage === storage));
  const dockerd = (suite: string) =>
    versions.find((each) => each.suite === suite)?.dockerd?.replace(/\.\d+$/, "") ?? "";
  const scripts = { debian: "Debian's script", rlkit: "rlkit's script" };
  const rows = new Map<string, string[]>();
  for (const { cell, notHere, failed } of outcomes) {
    const key = [`${cell.suite}, ${dockerd(cell.suite)}`, cell.net, cell.iptables, scripts[cell.start]];
    const row = rows.get(key.join()) ?? [...key, ...storages.map(() => "")];
    row[key.length + storages.indexOf(cell.storage)] = notHere ?? (failed.join("; ") || "ok");
    rows.set(key.join(), row);
  }
  const ofPodman = podman.map(({ suite, result }) => [suite, result]);
  const names = Object.keys(versions[0] ?? {});
  const ofVersions = versions.map((each) => names.map((name) => each[name] ?? ""));
  return [
    table(["dockerd of", "network", "iptables", "started by", ...storages], [...rows.values()]),
    ...(ofPodman.length > 0 ? [table(["podman of", "as the mapped root"], ofPodman)] : []),
    table(names, ofVersions),
  ].join("\n\n");
}

/** Puts the text between the markers of the document. */
export function writeMatrix(text: string): void {
  const document = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : `# Compatibility\n\n${BEGIN}\n${END}\n`;
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${DOCUMENT} has no ${BEGIN} and ${END}`);
  writeFileSync(DOCUMENT, `${before}${BEGIN}\n${text}\n${END}${after}`);
}
