import type { Info } from "../api/info.ts";
import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { Status } from "../supervisor/status.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption, jsonOption } from "./ports-options.ts";
import { type ListedPort, ratesBetween } from "./ports-table.ts";
import { type Look, printStatus } from "./status-screen.ts";

/** As systemctl status and init scripts have it: the program is not running. */
const NOT_RUNNING = 3;
const NOT_READY = 1;

async function run(parsed: Parsed): Promise<number> {
  noWords("status", parsed.command);
  const interval = (parsed.values.interval as number | undefined) ?? 1;
  if (interval === 0) throw new RlkitError("USAGE", "--interval=0 is too small: whole seconds, from 1");
  const json = parsed.values.json === true;
  try {
    const api = apiOf(parsed);
    const look = async (): Promise<Look> => {
      const status = await api.ask<Status>("GET", "/v1/rlkit/status");
      const info = await api.ask<Info>("GET", "/v1/info");
      const ports = info.portDriver && (await api.ask<ListedPort[]>("GET", "/v1/ports?counters"));
      return { status, info, ports };
    };
    if (parsed.values.watch === true) return await watchStatus(look, interval, json);
    const seen = await look();
    printed(json ? `${JSON.stringify(seen.status, null, 2)}\n` : await printStatus(seen, Date.now()));
    return seen.status.phase === "ready" ? 0 : NOT_READY;
  } catch (error) {
    if (!(error instanceof RlkitError) || error.code !== "INSTANCE") throw error;
    throw new RlkitError("INSTANCE", error.message, { hint: error.hint, cause: error, exitStatus: NOT_RUNNING });
  }
}

async function watchStatus(look: () => Promise<Look>, seconds: number, json: boolean): Promise<number> {
  const { watch } = await import("./watch.ts");
  return watch({
    look,
    show: (now, before, passed, width) =>
      json
        ? `${JSON.stringify({ time: new Date().toISOString(), ...now.status })}\n`
        : printStatus(now, Date.now(), { rates: ratesBetween(before?.ports ?? [], now.ports ?? [], passed), width }),
    seconds,
    json,
  });
}

/** `rlkit status`: how a running instance stands. */
export const command: Command = {
  name: "status",
  operands: "",
  describe: "How an instance stands; status 0: ready, 1: not ready, 3: nothing runs",
  options: {
    ...instanceOption,
    ...jsonOption,
    watch: { type: "boolean", describe: "again and again, with rates a second; ends with ^C" },
    interval: { type: "number", describe: "seconds between two looks of --watch (1)" },
  },
  optionsAnywhere: true,
  run,
};
