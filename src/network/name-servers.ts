import { readFileSync } from "node:fs";

/** The name servers of resolv.conf(5), in their order; the last ones that were read where the file is just being replaced. */
export function nameServers(path = "/etc/resolv.conf"): string {
  try {
    const found = readFileSync(path, "utf8").match(/^nameserver[ \t]+\S+/gm);
    if (found !== null) last = found.join("\n");
  } catch {
    // There is none for the moment.
  }
  return last;
}

let last = "";

/** The text of a resolv.conf that names these. */
export const resolvConfOf = (servers: readonly string[]): string =>
  servers.map((server) => `nameserver ${server}\n`).join("");
