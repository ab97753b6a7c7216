import { checkAsJson, printCheck } from "../check/print.ts";
import { isGood } from "../check/run.ts";
import { thisMachine } from "../check/this-machine.ts";
import { RlkitError } from "../errors.ts";
import { configureLog } from "../log.ts";
import { isTerminal } from "../native/calls.ts";
import { targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import { checkRemap } from "../remap/check.ts";
import { limits, limitsText } from "../remap/limits.ts";
import type { Command } from "./command.ts";

const subject = {
  good: "A dockerd with this userns-remap can run here",
  bad: "A dockerd with this userns-remap can't run here yet",
  block: "For root, all of it:",
};

/** `rlkit remap check`: whether a rootful dockerd can run with userns-remap, and what that means for containers. */
export const command: Command = {
  name: "remap check",
  operands: "[USER|default]",
  describe: "Check what a rootful dockerd with userns-remap needs, say what mends it, and what will not work",
  options: {
    config: {
      type: "string",
      default: "/etc/docker/daemon.json",
      describe: "the daemon.json of that dockerd; its userns-remap is checked unless USER is given",
    },
    json: { type: "boolean", describe: "for programs: every result, the lines for root, and what will not work" },
  },
  optionsAnywhere: true,
  async run({ values, command: [given, ...more] }): Promise<number> {
    if (more.length > 0) {
      throw new RlkitError("USAGE", `rlkit remap check takes one value of userns-remap, got ${more.length + 1}`, {
        hint: "see rlkit remap check --help",
      });
    }
    configureLog({ level: "silent" }); // everything that matters is in the result
    const env = targetEnvironment(process.env);
    const machine = thisMachine(env, () => {});
    const results = await checkRemap({ file: String(values.config), given }, machine);
    const colours = isTerminal(1) && !env.NO_COLOR;
    printed(
      values.json === true
        ? checkAsJson(results, { limits })
        : printCheck(results, { colours, subject: { ...subject, more: [limitsText()] } }),
    );
    return isGood(results) ? 0 : 1;
  },
};
