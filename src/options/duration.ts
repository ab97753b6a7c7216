import { RlkitError } from "../errors.ts";

const units = { ms: 1, s: 1000, m: 60_000, "": 1000 } as const;

/**
 * Reads a duration: 500ms, 2s, 1.5s, 2m, or plain seconds. Returns milliseconds. Throws a USAGE error that names the option
 * (`--stop-timeout`).
 */
export function parseDuration(text: string, option: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|)$/.exec(text) ?? [];
  if (number === "") {
    throw new RlkitError("USAGE", `${option}=${text} is no duration: write it like 500ms, 2s, 1.5s or 2m`);
  }
  return Number(number) * units[unit as keyof typeof units];
}
