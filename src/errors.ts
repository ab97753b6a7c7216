/** What went wrong, for programs: stable names that tests, scripts and the JSON log can rely on. */
export type ErrorCode =
  | "USAGE"
  | "BUILD"
  | "SUBID_FILE"
  | "SUBID_NONE"
  | "IDMAP_OPTION"
  | "IDMAP_TOOL"
  | "IDMAP_FAILED"
  | "NO_NEW_PRIVS"
  | "GETSUBIDS"
  | "USERNS"
  | "STATE_DIR"
  | "RUNTIME_DIR"
  | "HOME"
  | "COMMAND"
  | "STEP"
  | "NETWORK"
  | "TUN"
  | "STORAGE"
  | "PORT"
  | "INSTANCE"
  | "INIT_LOST"
  | "INTERRUPTED"
  | "INSTALL"
  | "DOWNLOAD"
  | "CHECKSUM"
  | "ARCHIVE";

/** The exit statuses that are rlkit's own; every other one is the target's. As in env(1), timeout(1) and docker(1). */
export const ExitStatus = {
  usage: 2,
  failed: 125,
  notExecutable: 126,
  notFound: 127,
  /** Plus the number of the signal that ended the target. */
  signal: 128,
} as const;

/**
 * A failure with a known cause: one sentence that says what failed, on which object and why; `hint` is what to do about it.
 * It reaches the user as one line, never as a stack trace.
 */
export class RlkitError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly exitStatus: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown; exitStatus?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RlkitError";
    this.code = code;
    this.hint = options.hint;
    this.exitStatus = options.exitStatus ?? (code === "USAGE" ? ExitStatus.usage : ExitStatus.failed);
  }
}

/** A system call that returned -errno: which call, which errno by name, on which object. The caller adds why and what to do. */
export class SyscallError extends Error {
  readonly syscall: string;
  readonly code: string;

  constructor(syscall: string, code: string, object = "") {
    super(`${syscall}${object && ` ${object}`}: ${code}`);
    this.name = "SyscallError";
    this.syscall = syscall;
    this.code = code;
  }
}

/** Whether an error of Node or of the native library is that errno. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code;
}
