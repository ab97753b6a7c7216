import { constants } from "node:os";
import { RlkitError } from "../errors.ts";
import { nextTurn } from "../launch/wait.ts";

const ending = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/** While this is there, signals that end a program end the check in order, so that what it has made is removed. */
export class Interruption {
  #name: (typeof ending)[number] | undefined;

  constructor() {
    for (const name of ending) process.on(name, this.#take);
  }

  #take = (name: NodeJS.Signals): void => {
    this.#name ??= ending.find((each) => each === name);
  };

  /** Throws if there was such a signal. For waits, in which Node handles signals. */
  check = (): void => {
    if (this.#name === undefined) return;
    const exitStatus = 128 + constants.signals[this.#name];
    throw new RlkitError("INTERRUPTED", `stopped by ${this.#name} before the check was complete`, { exitStatus });
  };

  /** The same where nothing is waited for. */
  look = async (): Promise<void> => {
    await nextTurn();
    this.check();
  };

  /** Signals do what they always do again. */
  end(): void {
    for (const name of ending) process.off(name, this.#take);
  }
}
