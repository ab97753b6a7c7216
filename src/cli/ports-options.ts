import type { OptionTable } from "./options.ts";

/** Which instance: its state directory. */
export const instanceOption: OptionTable = {
  "state-dir": {
    type: "string",
    completes: "directory",
    describe: "state directory of the instance (this one, or the only one that runs)",
  },
};

export const jsonOption: OptionTable = { json: { type: "boolean", describe: "print JSON" } };
