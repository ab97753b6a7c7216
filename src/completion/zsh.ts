import type { Command } from "../cli/command.ts";
import { flags, takesValue } from "../cli/flags.ts";
import type { Completable } from "../cli/options.ts";
import { firstWords, isOnByDefault, quoted, secondWords, valuesOf } from "./tables.ts";

/** zsh's completion, in the terms of its function _arguments. */
export function zshScript(commands: readonly Command[], groups: Readonly<Record<string, string>>): string {
  return `#compdef rlkit
compdef _rlkit rlkit
# zsh completion for rlkit, in a directory of $fpath:
#   rlkit completion zsh > ~/.zsh/completions/_rlkit
# Or in ~/.zshrc, after compinit: source <(rlkit completion zsh)

_rlkit() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C '(- *)'{-h,--help}'[this help]' '(- *)--version[the version]' '1: :->command' '*:: :->rest' && return
  case $state in
    command)
${choice("command", firstWords(commands, groups))}
      ;;
    rest)
      curcontext=\${curcontext%:*:*}:rlkit-$words[1]:
      case $words[1] in
${commands
  .filter(({ name }) => !name.includes(" "))
  .map((command) => commandCase(command, command.name))
  .join("\n")}
${Object.keys(groups)
  .map((group) => `        ${group}) _rlkit_${group} ;;`)
  .join("\n")}
      esac
      ;;
  esac
}

${Object.keys(groups)
  .map((group) => groupFunction(commands, group))
  .join("\n\n")}

if [[ $funcstack[1] == _rlkit ]]; then
  _rlkit "$@"
fi
`;
}

function groupFunction(commands: readonly Command[], group: string): string {
  const own = commands.filter(({ name }) => name.startsWith(`${group} `));
  return `_rlkit_${group}() {
  local state line
  _arguments -C '(- *)'{-h,--help}'[this help]' '1: :->command' '*:: :->rest' && return
  case $state in
    command)
${choice("command", secondWords(commands, group))}
      ;;
    rest)
      case $words[1] in
${own.map((command) => commandCase(command, command.name.slice(group.length + 1))).join("\n")}
      esac
      ;;
  esac
}`;
}

const choice = (tag: string, words: readonly { word: string; describe: string }[]): string =>
  [
    `      local -a words_=(`,
    ...words.map(({ word, describe }) => `        ${quoted(`${word.replaceAll(":", "\\:")}:${describe}`)}`),
    "      )",
    `      _describe -t ${tag}s 'rlkit ${tag}' words_`,
  ].join("\n");

function commandCase(command: Command, word: string): string {
  // Options end at the first other word, unless the command takes them anywhere; after `--` there are none in any case.
  const how = command.optionsAnywhere ? "-S" : "-S -A '-*'";
  const specs = [...flags(command).flatMap(optionSpecs), ...operandSpecs(command)];
  return `        ${word})\n          _arguments ${how} \\\n${specs.map((spec) => `            ${quoted(spec)}`).join(" \\\n")}\n          ;;`;
}

const actions = { file: "_files", directory: "_files -/", program: "_command_names -e" };

/** The part of a specification that says what completes a value; a blank stands for nothing. */
function action(what: Completable | undefined): string {
  if (what === undefined) return " ";
  return typeof what === "string" ? actions[what] : `(${what.join(" ")})`;
}

function optionSpecs({ flag, short, option }: ReturnType<typeof flags>[number]): string[] {
  const about = `[${option.describe.replaceAll(/[[\]\\]/g, "\\$&")}]`;
  const repeated = option.type === "array" ? "*" : "";
  const value = `:value:${action(valuesOf(option))}`;
  // =- : the value is in the same word.
  if (isOnByDefault(option)) return [`${flag}=-${about}:value:(true false)`];
  if (!takesValue(option)) return [flag, ...(short ? [short] : [])].map((name) => `${name}${about}`);
  return [`${repeated}${flag}=${about}${value}`, ...(short ? [`${repeated}${short}${about}${value}`] : [])];
}

function operandSpecs({ completes, operands }: Command): string[] {
  if (completes === "program") return [`(-)1:command: ${actions.program}`, "*::arguments: _normal"];
  // () and no blank: with a blank, options would not be completed any more.
  if (completes === undefined) return operands === "" ? [] : ["*:operand:()"];
  return [`*:operand:${action(completes)}`];
}
