import type { Refusal } from "./machine.ts";

const MILLISECONDS = 1000; // for an answer

/** A command that asks one name server, past what else nsswitch.conf names; it prints why not, and then ends with status 1. */
export function resolver(server: string, name: string): string[] {
  const script = `const { Resolver } = require("node:dns");
const resolver = new Resolver({ timeout: ${MILLISECONDS}, tries: 1 });
resolver.setServers([${JSON.stringify(server)}]);
resolver.resolve4(${JSON.stringify(name)}, (error) => {
  if (error) console.log(error.code);
  process.exit(error ? 1 : 0);
});`;
  return [process.execPath, "-e", script];
}

/** Asks this machine's own name servers. */
export async function resolveHere(name: string): Promise<Refusal | undefined> {
  const { Resolver } = await import("node:dns/promises");
  try {
    await new Resolver({ timeout: MILLISECONDS, tries: 1 }).resolve4(name);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
