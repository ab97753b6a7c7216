import { constants } from "node:os";
import { RlkitError } from "../errors.ts";

// Not SIGTSTP, SIGTTIN and SIGTTOU: a terminal stops the whole group with those, this process included, so that the shell
// gets its prompt back. Not SIGCHLD and SIGPIPE, which are about this process.
const forwarded = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGWINCH",
  "SIGPWR",
] as const;

const ending: readonly NodeJS.Signals[] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"];

/**
 * The signals that this process is sent. Before there is a target, those that would end a program end the launch; afterwards
 * all go to the target. They stay handled to the end: a second ^C must not cut the tidying short.
 */
export class Signals {
  #interrupt: NodeJS.Signals | undefined;
  #forward: ((signo: number) => void) | undefined;

  constructor() {
    for (const name of forwarded) process.on(name, this.#take);
  }

  #take = (name: NodeJS.Signals): void => {
    if (this.#forward !== undefined) this.#forward(constants.signals[name]);
    else if (ending.includes(name)) this.#interrupt ??= name;
  };

  /** Throws if a signal has asked this run to end. For the waits of the launch. */
  check = (): void => {
    const name = this.#interrupt;
    if (name === undefined) return;
    throw new RlkitError("INTERRUPTED", `stopped by ${name} before the command was started`, {
      exitStatus: 128 + constants.signals[name],
    });
  };

  /** From here on signals go to `forward`. */
  forwardTo(forward: (signo: number) => void): void {
    this.#forward = forward;
  }
}
