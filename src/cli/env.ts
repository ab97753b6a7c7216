import { gatherDockerFacts } from "../host/docker-facts.ts";
import { currentUser } from "../host/idmap-facts.ts";
import { resolveRunOptions } from "../options/run-options.ts";
import { printed } from "../output.ts";
import { dockerClientEnv } from "../profiles/docker.ts";
import { exportLine } from "../supervisor/announce.ts";
import type { Command } from "./command.ts";
import { runOptions } from "./options.ts";
import { noWords } from "./parse.ts";
import { nameOption } from "./ports-options.ts";

export const command: Command = {
  name: "env",
  operands: "",
  describe: 'Print the variables with which a docker client finds your dockerd: eval "$(rlkit env)"',
  options: nameOption,

  async run(parsed) {
    noWords("env", parsed.command);
    const defaults = Object.fromEntries(Object.entries(runOptions).map(([name, option]) => [name, option.default]));
    const values = { ...defaults, ...parsed.values };
    const options = resolveRunOptions({ values, command: ["dockerd"] }, process.env, process.cwd());
    const { uid, home } = currentUser();
    const env = dockerClientEnv(gatherDockerFacts(options, uid, home));
    return printed(
      Object.entries(env)
        .map(([name, value]) => `${exportLine(name, value)}\n`)
        .join(""),
    );
  },
};
