import { setTimeout as sleep } from "node:timers/promises";
import { RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { dotted, isWildcard, parseAddress } from "./address.ts";
import type { PortDriver, PortSpec } from "./driver.ts";
import { isServed, type Wanted } from "./holder.ts";
import { probePort, whereabouts } from "./listeners.ts";
import { type SocketPlan, socketKind, socketPlans } from "./socket-plan.ts";
import { listenName } from "./spec.ts";
import { turns } from "./turns.ts";

/** What the pesto driver needs to know and have. */
export interface PestoSetting {
  /** The program. */
  pesto: string;
  /** pasta's configuration socket (its option -c). */
  socketPath: string;
  /** The address inside. */
  tap: string;
  ipv6: boolean;
  /** Runs a program to its end: its exit status, and all that it wrote. */
  run(argv: readonly string[]): Promise<{ status: number; output: string }>;
  probe?: typeof probePort;
  served?: (wanted: Wanted) => boolean;
}

/** The pesto driver, which can also tell a new pasta what the last one did. */
export interface PestoDriver extends PortDriver {
  replay(): Promise<void>;
}

const LISTEN_DEADLINE = 1000; // milliseconds; 10 are usual
/** What pesto says where there is no such rule, or no pasta any more. */
const GONE = /Couldn't find forwarding rule|Failed to connect/;

/** The socket that pasta is to bind. Throws for what it can't do. */
function plan(spec: PortSpec, { tap, ipv6 }: PestoSetting): SocketPlan {
  const { proto, parentIP = "", childIP = "" } = spec;
  if (socketKind(spec) === undefined) throw new RlkitError("PORT", `unsupported protocol: ${proto}`);
  if (childIP !== "" && childIP !== tap) {
    const text = `unsupported ChildIP "${childIP}": the pesto port driver only supports the namespace address "${tap}"`;
    throw new RlkitError("PORT", text, { hint: "leave it out; --port-driver=builtin reaches any address inside" });
  }
  const plans = socketPlans(spec);
  const address = parseAddress(parentIP);
  // `tcp` and `udp` are IPv4 here unless the address says otherwise, and not both.
  const six = address === undefined ? proto.endsWith("6") : address.family === 6;
  if (six && !ipv6) {
    throw new RlkitError(
      "PORT",
      `IPv6 port forwarding (proto "${proto}", parent IP "${parentIP || "::"}") requires --ipv6`,
    );
  }
  if (!six) return plans.find(({ family }) => family === 4) as SocketPlan;
  return { family: 6, v6only: true, address: address === undefined || isWildcard(address) ? "" : parentIP };
}

/** The rule as pesto takes it: `--tcp-ports=0.0.0.0/8080:80`. */
function rule({ proto, parentIP = "", parentPort, childPort }: PortSpec, { family }: SocketPlan): string {
  const address = parseAddress(parentIP);
  const listen = (address && (dotted(address) ?? parentIP)) || (family === 4 ? "0.0.0.0" : "::");
  return `--${proto.slice(0, 3)}-ports=${listen}/${parentPort}:${childPort}`;
}

/**
 * The driver that has a running pasta listen and forward, by pesto(1).
 *
 * pesto succeeds as soon as pasta knows the rule. When pasta then can't bind, nobody is told, and from then on it refuses every
 * change because of that one rule. So the port is bound here first, looked for afterwards, and its rule withdrawn if need be.
 */
export function pestoDriver(setting: PestoSetting): PestoDriver {
  const { pesto, socketPath, run, probe = probePort, served = isServed } = setting;
  const ports = new Map<number, PortSpec>();
  // pasta talks to one pesto at a time, and pesto replaces the whole table.
  const inTurn = turns();

  const change = async (option: "-A" | "-D", spec: PortSpec): Promise<void> => {
    const argv = [pesto, option, rule(spec, plan(spec, setting)), socketPath];
    const { status, output } = await run(argv).catch((cause: Error) => {
      const hint = "pesto comes with passt of 2026; or use --port-driver=builtin";
      throw new RlkitError("PORT", `cannot run ${pesto}: ${cause.message}`, { hint, cause });
    });
    if (status === 0 || (option === "-D" && GONE.test(output))) return;
    throw new RlkitError("PORT", `pesto failed: exit status ${status}: ${output.trim().replaceAll("\n", "; ")}`);
  };

  const add = async (spec: PortSpec): Promise<void> => {
    await change("-A", spec);
    const wanted = whereabouts(plan(spec, setting), socketKind(spec) ?? "stream", spec.parentPort);
    const deadline = Date.now() + LISTEN_DEADLINE;
    while (!served(wanted)) {
      if (Date.now() < deadline) await sleep(2);
      else {
        await change("-D", spec);
        throw new RlkitError("PORT", `pasta does not listen on port ${spec.parentPort}, and does not say why`);
      }
    }
  };

  return {
    name: "pesto",

    open: (id, spec) =>
      inTurn(async () => {
        const opened = { ...spec, parentPort: probe(spec, plan(spec, setting)) };
        await add(opened);
        ports.set(id, opened);
        return opened;
      }),

    close: (id) =>
      inTurn(async () => {
        const spec = ports.get(id);
        if (spec !== undefined) await change("-D", spec);
        ports.delete(id);
      }),

    counters: () => undefined,

    async replay() {
      for (const [id, spec] of [...ports]) {
        const again = inTurn(async () => {
          if (ports.get(id) === spec) await add(spec);
        });
        await again.catch((error: Error) => {
          log.error(`${listenName(spec)} is not published any more: ${error.message}`);
        });
      }
    },
  };
}
