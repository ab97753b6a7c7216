import type { Command } from "../cli/command.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { zshScript } from "./zsh.ts";

const makers = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** The script with which a shell completes rlkit's command lines. */
export const completionScript = (
  shell: keyof typeof makers,
  commands: readonly Command[],
  groups: Readonly<Record<string, string>>,
): string => makers[shell](commands, groups);
