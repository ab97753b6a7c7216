import { accessSync, constants } from "node:fs";
import { isAbsolute } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Supervision } from "../supervisor/status.ts";
import { goJson } from "./go-text.ts";
import type { Answer, Api, Route } from "./routes.ts";

const MAX_WAIT = 25; // seconds: less than clients wait for an answer

const json = (status: number, value: unknown): Answer => ({ status, type: "application/json", body: goJson(value) });

function supervision({ supervision: it }: Api): Supervision {
  if (it === undefined) throw new Error("an API without a supervisor");
  return it;
}

/** The program to go on with, if the request names another one. */
function programOf(body: Buffer): string | undefined {
  const bad = (why: string): RlkitError => new RlkitError("INSTANCE", `cannot restart: ${why}`);
  let exec: unknown;
  try {
    exec = (JSON.parse(body.toString() || "{}") as { exec?: unknown }).exec;
  } catch {
    throw bad("the request is no JSON object");
  }
  if (exec === undefined) return undefined;
  if (typeof exec !== "string" || !isAbsolute(exec) || exec.includes("\0")) throw bad(`exec is no absolute path`);
  try {
    accessSync(exec, constants.X_OK);
  } catch (cause) {
    throw new RlkitError("INSTANCE", `cannot restart: ${exec} can't be executed`, { cause });
  }
  return exec;
}

/** What rlkit adds to RootlessKit's API for its own commands: the state of the run, and what may be done to it. */
export const supervisionRoutes: readonly Route[] = [
  {
    path: /^\/v1\/rlkit\/status$/,
    methods: { GET: async (api) => json(200, await supervision(api).status()) },
  },
  {
    path: /^\/v1\/rlkit\/wait$/,
    methods: {
      GET: async (api, _, { query }) => {
        const seconds = Number(query.get("seconds") ?? MAX_WAIT);
        await supervision(api).settled(Math.min(Math.max(seconds, 0), MAX_WAIT) * 1000);
        return json(200, await supervision(api).status());
      },
    },
  },
  {
    path: /^\/v1\/rlkit\/stop$/,
    methods: {
      POST: (api) => {
        supervision(api).stop();
        return json(202, {});
      },
    },
  },
  {
    path: /^\/v1\/rlkit\/restart$/,
    methods: {
      POST: async (api, _, { body }) => {
        await supervision(api).restart(programOf(body));
        return json(200, await supervision(api).status());
      },
    },
  },
];
