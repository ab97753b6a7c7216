import { isErrno, RlkitError } from "../errors.ts";
import { log } from "../log.ts";
import { type Address, dotted, isLoopback, parseAddress } from "./address.ts";
import type { PortDriver, PortSpec } from "./driver.ts";
import { probePort } from "./listeners.ts";
import type { SocketPlan } from "./socket-plan.ts";
import { listenName } from "./spec.ts";
import { turns } from "./turns.ts";

const ANSWER_DEADLINE = 5000; // milliseconds
const ANSWER_MAX = 64 * 1024;

type Answer = { return?: { id?: unknown }; error?: { desc?: unknown } };

const failed = (why: string, cause?: unknown): RlkitError => new RlkitError("PORT", `slirp4netns: ${why}`, { cause });

/** Sends a request on a connection of its own, ended by both sides; resolves to the answer (slirp4netns(1), API socket). */
async function exchange(socketPath: string, request: object): Promise<string> {
  const { connect } = await import("node:net");
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    let answer = "";
    socket.setTimeout(ANSWER_DEADLINE, () => socket.destroy(failed(`no answer on ${socketPath}`)));
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      answer += chunk;
      if (answer.length > ANSWER_MAX) socket.destroy(failed("an answer without end"));
    });
    socket.on("error", (cause) => reject(cause instanceof RlkitError ? cause : failed(cause.message, cause)));
    socket.on("end", () => {
      socket.destroy();
      resolve(answer);
    });
    socket.end(`${JSON.stringify(request)}\n`);
  });
}

/** Asks slirp4netns' API. */
async function ask(socketPath: string, execute: string, args: object): Promise<Answer> {
  const text = await exchange(socketPath, { execute, arguments: args });
  try {
    return JSON.parse(text) as Answer;
  } catch (cause) {
    throw failed(`answered with something else: ${JSON.stringify(text.slice(0, 200))}`, cause);
  }
}

/** The IPv4 address in `text`. Throws for IPv6, which slirp4netns does not forward. */
function four(text: string): { address: Address; text: string } {
  const address = parseAddress(text);
  const dots = address && dotted(address);
  if (address === undefined || dots === undefined) throw new RlkitError("PORT", `unsupported IP (v6?): ${text}`);
  return { address, text: dots };
}

/** What add_hostfwd takes, and the socket that slirp4netns will bind. Throws for what it can't do. */
function forward(spec: PortSpec, tap: string): { args: object; plan: SocketPlan } {
  const { proto, parentIP, childIP, parentPort, childPort } = spec;
  if (proto.endsWith("6") || proto.startsWith("sctp")) {
    throw new RlkitError("PORT", `unsupported protocol "${proto}"`, {
      hint: "the slirp4netns port driver forwards IPv4 TCP and UDP; --port-driver=builtin forwards IPv6 as well",
    });
  }
  const host = four(parentIP || "0.0.0.0").text;
  const guest = four(childIP || tap);
  if (isLoopback(guest.address)) {
    throw new RlkitError(
      "PORT",
      `unsupported ChildIP "${guest.text}": slirp4netns reaches no loopback address inside`,
      {
        hint: `leave it out, or use ${tap}; --port-driver=builtin reaches loopback`,
      },
    );
  }
  return {
    args: {
      proto: proto.replace("4", ""),
      host_addr: host,
      host_port: parentPort,
      guest_addr: guest.text,
      guest_port: childPort,
    },
    plan: { family: 4, v6only: false, address: host === "0.0.0.0" ? "" : host },
  };
}

const ATTEMPTS = 5;
/** In place of the number of a forward that slirp4netns does not have. */
const NONE = -1;

/** The slirp4netns driver, which can also tell a new slirp4netns what the last one did. */
export interface Slirp4netnsDriver extends PortDriver {
  replay(): Promise<void>;
}

/**
 * The driver that has slirp4netns listen and forward, through its API socket. `tap` is the address inside.
 *
 * Its API says neither why a port can't be had nor which one is free: so the port is bound here first, and let go.
 */
export function slirp4netnsDriver(socketPath: string, tap: string, probe = probePort): Slirp4netnsDriver {
  const ports = new Map<number, { theirs: number; spec: PortSpec }>();
  // slirp4netns serves one connection at a time and lets hardly any wait: connect(2) would fail with EAGAIN.
  const inTurn = turns();

  const add = async (spec: PortSpec): Promise<number> => {
    const answer = await ask(socketPath, "add_hostfwd", forward(spec, tap).args);
    const theirs = answer.return?.id;
    if (typeof theirs === "number") return theirs;
    throw failed(String(answer.error?.desc ?? `unexpected reply: ${JSON.stringify(answer)}`));
  };

  return {
    name: "slirp4netns",

    async open(id, spec) {
      const { plan } = forward(spec, tap);
      for (let attempt = 1; ; attempt += 1) {
        const opened = { ...spec, parentPort: probe(spec, plan) };
        try {
          ports.set(id, { theirs: await inTurn(() => add(opened)), spec: opened });
          return opened;
        } catch (error) {
          // A free port may be taken by somebody else after the probe.
          if (spec.parentPort !== 0 || attempt === ATTEMPTS) throw error;
        }
      }
    },

    async close(id) {
      const port = ports.get(id);
      if (port === undefined) return;
      try {
        // Its number may be another by the time that it has its turn.
        const answer = await inTurn(async () =>
          port.theirs === NONE ? {} : await ask(socketPath, "remove_hostfwd", { id: port.theirs }),
        );
        if (answer.error !== undefined) throw failed(String(answer.error.desc));
      } catch (error) {
        // Without slirp4netns there is no forward of it either.
        const { cause } = error as Error;
        if (!isErrno(cause, "ECONNREFUSED") && !isErrno(cause, "ENOENT")) throw error;
      }
      ports.delete(id);
    },

    counters: () => undefined,

    async replay() {
      // The new one numbers its forwards from 1 again: by an old number, another port would be removed.
      for (const port of ports.values()) port.theirs = NONE;
      const again = [...ports].map(([id, port]) =>
        inTurn(async () => {
          if (ports.get(id) === port) port.theirs = await add(port.spec);
        }).catch((error: Error) => {
          log.error(`${listenName(port.spec)} is not published any more: ${error.message}`);
        }),
      );
      await Promise.all(again);
    },
  };
}
