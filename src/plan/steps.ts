import type { IdMap } from "../idmap/map.ts";
import type { HelperDriver, Readiness } from "../network/driver.ts";
import type { HostPort } from "../options/host-access.ts";
import type { Activation } from "../options/run-options.ts";
import type { PortDriverName, PortSpec } from "../ports/driver.ts";
import type { StorageDriver } from "../profiles/storage.ts";
import type { Operation } from "./operations.ts";

/** What rlkit does, as data. `inside` steps are carried out by `rlkit-ns init`, all others by the supervisor. */
export type Action =
  | { do: "make-private-dir"; path: string }
  | { do: "lock-state-dir"; path: string }
  | { do: "start-init"; env: readonly string[] }
  | { do: "inside"; op: Operation; onFailure: OnFailure; ifFailed?: boolean }
  /** By these programs, or by root itself. */
  | { do: "write-id-maps"; uid: IdMap; gid: IdMap; tools: { newuidmap: string; newgidmap: string } | undefined }
  | {
      do: "start-helper";
      driver: HelperDriver["name"];
      path: string;
      args: readonly string[];
      ready: Readiness;
      /** It listens at this socket for Ethernet frames, which are to come from this tap device. */
      ethernet?: { socket: string; ifname: string };
    }
  | { do: "plug-in"; path: string; bridge: string; ifname: string }
  | { do: "await-lease"; ifname: string; mac: string }
  | { do: "evacuate-cgroup"; name: string }
  | { do: "await-helper" }
  | { do: "write-state-file"; name: string; content: string }
  | { do: "choose-storage"; dataRoot: string; candidates: readonly StorageDriver[] }
  | { do: "publish"; driver: PortDriverName; ports: readonly PortSpec[] }
  | { do: "open-host-ports"; ports: readonly HostPort[] }
  /** A program to be run inside; its failure is a line in the log. */
  | { do: "execute"; argv: readonly string[] }
  | { do: "write-child-pid" }
  | { do: "listen-api" }
  | { do: "listen-notify"; path: string }
  | {
      do: "start-target";
      argv: readonly string[];
      env: readonly string[];
      openFiles: number;
      newSession: boolean;
      /** What it writes to standard error is kept for a while. */
      daemon: boolean;
      activation: Activation | undefined;
    };

/** What the failure of an operation inside means: the end, a line in the log, or nothing. */
export type OnFailure = "stop" | "warn" | "ignore";

/** An action with the reason that `rlkit plan` prints. */
export type Step = Action & { why: string };

/** The steps of one run, in order. */
export type Plan = readonly Step[];

/** The step of one kind. */
export type StepOf<K extends Action["do"]> = Extract<Action, { do: K }> & { why: string };
