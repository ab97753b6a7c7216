/** What a run is doing. `failed` is the end of a crash loop. */
export type Phase = "starting" | "ready" | "restarting" | "stopping" | "failed";

/** A process of rlkit's own, or one that it keeps: `rss` in bytes, undefined where it can't be read. */
export interface KeptProcess {
  name: string;
  pid: number;
  rss: number | undefined;
}

/** What `rlkit status` shows, and `GET /v1/rlkit/status` answers. Times are milliseconds, moments since the epoch. */
export interface Status {
  version: string;
  stateDir: string;
  /** The supervisor's own pid. */
  pid: number;
  phase: Phase;
  /** When this phase began. */
  since: number;
  /** What is not as it should be beside the target, one sentence each. */
  degraded: string[];
  target: {
    /** Its program's name without directories. */
    name: string;
    command: string[];
    /** As seen inside; null while it does not run. */
    pid: number | null;
    startedAt: number | null;
    /** From its start until it was ready. */
    readyAfter: number | null;
  };
  restarts: {
    policy: string;
    count: number;
    /** The latest ten, oldest first. */
    latest: { at: number; reason: string }[];
  };
  network: {
    driver: string;
    up: boolean;
    restarts: number;
    /** The name server that programs inside ask. */
    dns: string | null;
  };
  ports: { driver: string; count: number; orphans: number };
  processes: KeptProcess[];
  /** The last lines that the target wrote to standard error, 20 at most; empty where they are not kept. */
  lastLines: string[];
  /** The file of `--log-file`. */
  logFile: string | null;
}

/** The supervisor, as its API offers it to other terminals. */
export interface Supervision {
  status(): Promise<Status>;
  /** Resolves when the target is ready, when nothing more is to be expected (stopping, failed), or after `milliseconds`. */
  settled(milliseconds: number): Promise<void>;
  /** Begins to stop; returns at once. */
  stop(): void;
  /** Starts the target again, as another program if one is named; resolves when it is ready, throws RlkitError when it gets not. */
  restart(exec?: string): Promise<void>;
}
