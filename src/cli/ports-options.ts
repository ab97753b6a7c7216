import type { OptionTable } from "./options.ts";

const instance = { instance: { type: "string", describe: "name of the instance (RLKIT_INSTANCE)" } } as const;

/** The name of an instance, where it matters as one that may not run. */
export const nameOption: OptionTable = instance;

/** Which instance: its name, or its state directory. */
export const instanceOption: OptionTable = {
  ...instance,
  "state-dir": {
    type: "string",
    completes: "directory",
    describe: "state directory of the instance (this one, or the only one that runs)",
  },
};

export const jsonOption: OptionTable = { json: { type: "boolean", describe: "print JSON" } };
