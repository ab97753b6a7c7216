import { closeSync, readSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { toArguments } from "../idmap/map.ts";
import { pipe } from "../native/calls.ts";
import { shellStatus } from "../native/capture.ts";
import type { StepOf } from "../plan/steps.ts";
import { Child } from "./children.ts";

const DEADLINE = 10_000; // milliseconds; 3 is usual, a directory service behind newuidmap can take seconds

/** Starts newuidmap or newgidmap for the process `pid`; resolves once it has written the map. */
async function write(
  tool: string,
  map: readonly string[],
  pid: number,
  env: readonly string[],
  interrupted: () => void,
): Promise<() => Promise<void>> {
  const [read, end] = pipe();
  const child = Child.start({
    path: tool,
    argv: [tool, String(pid), ...map],
    env,
    fds: [-1, end, end],
    // Parent-death signals don't survive the exec of a setuid program; it ends by itself in any case.
    deathSignal: 0,
  });
  closeSync(end);
  return async () => {
    const status = await child.wait(DEADLINE, interrupted);
    if (status === undefined) child.kill(9);
    const output = Buffer.alloc(4096);
    const said = status === undefined ? "" : output.toString("utf8", 0, readSync(read, output)).trim();
    closeSync(read);
    if (status === 0) return;
    const why =
      status === undefined ? `no answer within ${DEADLINE / 1000} s` : said || `status ${shellStatus(status)}`;
    throw new RlkitError("IDMAP_FAILED", `${tool} could not write the map "${map.join(" ")}": ${why}`, {
      hint: "check /etc/subuid and /etc/subgid (rlkit idmap shows what they delegate), and that newuidmap and newgidmap are setuid root",
    });
  };
}

/**
 * Writes both id maps of the process `pid` by newuidmap and newgidmap, side by side (3.0 ms instead of 4.3). Root needs
 * neither, but they work for it too.
 */
export async function writeIdMaps(
  step: StepOf<"write-id-maps">,
  pid: number,
  env: readonly string[],
  interrupted: () => void,
): Promise<void> {
  const uid = await write(step.newuidmap, toArguments(step.uid), pid, env, interrupted);
  const gid = await write(step.newgidmap, toArguments(step.gid), pid, env, interrupted);
  await uid();
  await gid();
}
