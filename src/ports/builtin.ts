import { closeSync } from "node:fs";
import { log } from "../log.ts";
import type { DataPlane, PortDriver } from "./driver.ts";
import { openListener } from "./listeners.ts";
import type { ListenRequest } from "./portd-encoding.ts";
import { isPrivate, socketKind, targetAddress } from "./socket-plan.ts";

/** Milliseconds for which a connection that the target refuses is tried again, as by RootlessKit: it may be just starting. */
const CONNECT_PATIENCE = 300;

interface Setting {
  /** Asked for each port that other hosts can reach, with the address that it leads to: how their clients are to appear there. */
  clients(target: string, kind: ListenRequest["kind"]): Promise<Pick<ListenRequest, "keepClient" | "standIn">>;
  open?: typeof openListener;
}

/** The builtin driver, which can also tell a new data plane what the last one did. */
export interface BuiltinDriver extends PortDriver {
  replay(plane: Pick<DataPlane, "listen">): Promise<void>;
}

/**
 * The builtin driver: listens on the host, and has a process inside accept and connect. The listeners are kept here as well, so
 * that clients wait, and none is refused, while that process is started again.
 */
export function builtinDriver(plane: DataPlane, { clients, open = openListener }: Setting): BuiltinDriver {
  const ports = new Map<number, { request: ListenRequest; fd: number }>();
  const loopback = { keepClient: false, standIn: "" };

  return {
    name: "builtin",

    async open(id, spec) {
      const { fd, port } = open(spec);
      try {
        const kind = socketKind(spec) ?? "stream";
        const target = targetAddress(spec);
        const request: ListenRequest = {
          port: id,
          kind,
          patience: CONNECT_PATIENCE,
          target,
          targetPort: spec.childPort,
          ...(isPrivate(spec) ? loopback : await clients(target, kind)),
        };
        await plane.listen(request, fd);
        ports.set(id, { request, fd });
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      return { ...spec, parentPort: port };
    },

    async close(id) {
      const port = ports.get(id);
      if (port === undefined) return;
      // First, so that a new data plane is not told of it.
      ports.delete(id);
      try {
        await plane.close(id);
      } catch (error) {
        // It is gone, and its connections with it, or it never took the port.
        log.debug(`port ${id}: ${(error as Error).message}`);
      } finally {
        closeSync(port.fd);
      }
    },

    counters: () => plane.counters(),

    async replay(fresh) {
      // Those that are being closed meanwhile, too: their descriptors stay open until the data plane has answered for them.
      const again = [...ports.values()].map(async ({ request, fd }) => {
        await fresh.listen(request, fd).catch((error: Error) => {
          log.error(
            `the published port for ${request.target}:${request.targetPort} is not served any more: ${error.message}`,
          );
        });
      });
      await Promise.all(again);
    },
  };
}
