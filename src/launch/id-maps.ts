import { closeSync, readSync, writeFileSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { formatIdMap, type IdMap, toArguments } from "../idmap/map.ts";
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

/** Writes a map without the help of a program: for root. */
function writeItself(file: "uid_map" | "gid_map", map: IdMap, pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/${file}`, formatIdMap(map));
  } catch (cause) {
    const text = `root could not write the map "${toArguments(map).join(" ")}" to ${file}: ${(cause as Error).message}`;
    throw new RlkitError("IDMAP_FAILED", text, {
      hint: "in a container, root needs CAP_SETUID, CAP_SETGID and CAP_SETFCAP for that",
      cause,
    });
  }
}

/**
 * Writes both id maps of the process `pid` by newuidmap and newgidmap, side by side (3.0 ms instead of 4.3). Root needs
 * neither, but they work for it too, with ids that are delegated to it.
 */
export async function writeIdMaps(
  step: StepOf<"write-id-maps">,
  pid: number,
  env: readonly string[],
  interrupted: () => void,
): Promise<void> {
  if (step.tools === undefined) {
    writeItself("uid_map", step.uid, pid);
    writeItself("gid_map", step.gid, pid);
    return;
  }
  const uid = await write(step.tools.newuidmap, toArguments(step.uid), pid, env, interrupted);
  const gid = await write(step.tools.newgidmap, toArguments(step.gid), pid, env, interrupted);
  await uid();
  await gid();
}
