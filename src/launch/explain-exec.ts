import { ExitStatus, isErrno, RlkitError } from "../errors.ts";

/** Why a command could not be executed, with a shell's exit status: 127 if it isn't there, 126 if it can't be run. */
export function explainExec(program: string, cause: unknown): unknown {
  if (isErrno(cause, "ENOENT")) {
    return new RlkitError("COMMAND", `cannot run ${program}: there is no such command`, {
      hint: program.includes("/")
        ? "check the path, and the program named in its #! line"
        : "install it, or check PATH",
      exitStatus: ExitStatus.notFound,
      cause,
    });
  }
  for (const errno of ["EACCES", "EPERM", "ENOEXEC", "ENOTDIR", "EISDIR"]) {
    if (!isErrno(cause, errno)) continue;
    return new RlkitError("COMMAND", `cannot run ${program}: it can't be executed (${errno})`, {
      hint: "it must be a program or a script with a #! line, executable, and not on a file system mounted noexec",
      exitStatus: ExitStatus.notExecutable,
      cause,
    });
  }
  return cause;
}
