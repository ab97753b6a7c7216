import { gatherFacts } from "../host/facts.ts";
import { printed } from "../output.ts";
import { planRun } from "../plan/planner.ts";
import { printAction, printPlan } from "../plan/print.ts";
import { settle } from "../plan/settle.ts";
import type { Command } from "./command.ts";
import { configured } from "./configured.ts";
import { runOptions } from "./options.ts";
import { resolveRun } from "./resolve-run.ts";

export const command: Command = {
  name: "plan",
  operands: "[--] CMD [ARG…]",
  completes: "program",
  describe: "Print what run would do, step by step, and why; change nothing",
  options: { ...runOptions, json: { type: "boolean", describe: "for programs: a JSON array of the steps" } },

  async run(parsed) {
    const options = await resolveRun(await configured(parsed));
    const facts = gatherFacts(options);
    const { steps } = planRun(settle(options, facts), facts);
    const json = (): string =>
      `${JSON.stringify(
        steps.map((step) => ({ what: printAction(step), ...step })),
        (_, value) => (value?.type === "Buffer" ? Buffer.from(value.data).toString("hex") : value),
        2,
      )}\n`;
    return printed(parsed.values.json === true ? json() : await printPlan(steps, process.stdout.columns ?? 120));
  },
};
