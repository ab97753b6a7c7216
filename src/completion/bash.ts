import type { Command } from "../cli/command.ts";
import { flags, takesValue } from "../cli/flags.ts";
import type { Completable } from "../cli/options.ts";
import { firstWords, isOnByDefault, quoted, secondWords, valuedFlags, valuesOf } from "./tables.ts";

/** bash's completion: two functions of facts, and one that reads the line. */
export function bashScript(commands: readonly Command[], groups: Readonly<Record<string, string>>): string {
  const names = (words: readonly { word: string }[]): string => words.map(({ word }) => word).join(" ");
  return `# bash completion for rlkit. bash-completion finds it here:
#   rlkit completion bash > ~/.local/share/bash-completion/completions/rlkit
# Without that, in ~/.bashrc: source <(rlkit completion bash)

# What a command's line can go on with.
_rlkit_command() {
  subcommands='' options='--help' valued='' operands='' anywhere=''
  case $1 in
    '') subcommands=${quoted(names(firstWords(commands, groups)))} options='--help --version' ;;
${Object.keys(groups)
  .map((group) => `    ${group}) subcommands=${quoted(names(secondWords(commands, group)))} ;;`)
  .join("\n")}
${commands.map(facts).join("\n")}
    *) return 1 ;;
  esac
}

# What the value of a command's option can be.
_rlkit_values() {
  case "$1 $2" in
${valueCases(commands).join("\n")}
    *) [[ " $options " != *" $2 "* ]] || values='true false' ;;
  esac
}
${reader}`;
}

const candidates = (what: Completable | undefined): string =>
  typeof what === "string" ? `@${what}` : (what ?? []).join(" ");

function facts(command: Command): string {
  const options = flags(command).map(({ flag, option }) => {
    if (isOnByDefault(option)) return `${flag}=false`;
    return takesValue(option) ? `${flag}=` : flag;
  });
  const sets = [
    `options=${quoted(options.join(" "))}`,
    ...(valuedFlags(command).length > 0 ? [`valued=${quoted(valuedFlags(command).join(" "))}`] : []),
    ...(command.completes ? [`operands=${quoted(candidates(command.completes))}`] : []),
    ...(command.optionsAnywhere ? ["anywhere=yes"] : []),
  ];
  return `    ${quoted(command.name)})\n${sets.map((set) => `      ${set}\n`).join("")}      ;;`;
}

/** A case for all options that have the same values. */
function valueCases(commands: readonly Command[]): string[] {
  const places = new Map<string, string[]>();
  for (const command of commands) {
    for (const { flag, short, option } of flags(command)) {
      const values = isOnByDefault(option) ? "true false" : candidates(valuesOf(option));
      if (values === "") continue;
      const patterns = [flag, ...(short ? [short] : [])].map((name) => quoted(`${command.name} ${name}`));
      places.set(values, [...(places.get(values) ?? []), ...patterns]);
    }
  }
  return [...places].map(([values, patterns]) => `    ${patterns.join(" | ")}) values=${quoted(values)} ;;`);
}

const reader = `
# A program and its arguments, from the word with this number on.
_rlkit_program() {
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif (($1 == COMP_CWORD)) && [[ $cur != */* ]]; then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u)
  else
    compopt -o default
  fi
}

_rlkit_reply() {
  case $1 in
    # Left to readline, which knows of quotes and tildes.
    @file) compopt -o default ;;
    @directory) compopt -o dirnames ;;
    *) mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$1" -- "$cur") ;;
  esac
  [[ \${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}

# Whether bash has broken apart what was written as one word: --net=pasta, 8080:80.
_rlkit_is_one() {
  [[ $1 == *: || $2 == :* || ($1 == --?* && ($2 == = || $1 == *=)) ]]
}

_rlkit() {
  COMPREPLY=()
  local words=() at=() word i
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((i > 1)) && _rlkit_is_one "\${words[-1]}" "$word"; then
      words[-1]+=$word
    else
      words+=("$word") at+=("$i")
    fi
  done

  local command='' option='' ended='' prefix='' values='' cur=\${words[-1]}
  local subcommands options valued operands anywhere
  _rlkit_command ''
  for ((i = 0; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ -n $option ]]; then
      option='' # this word is its value
    elif [[ -z $ended && $word == -- ]]; then
      ended=yes
    elif [[ -z $ended && $word == -?* ]]; then
      [[ " $valued " != *" $word "* ]] || option=$word
    elif [[ -n $subcommands ]]; then
      command+=\${command:+ }$word
      _rlkit_command "$command" || return 0
    elif [[ $operands == @program ]]; then
      _rlkit_program "\${at[i]}"
      return 0
    else
      [[ -n $anywhere ]] || ended=yes
    fi
  done

  if [[ -z $option && -z $ended && $cur == --?*=* ]]; then
    option=\${cur%%=*} cur=\${cur#*=}
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=$option=
  fi
  if [[ -n $option ]]; then
    _rlkit_values "$command" "$option"
    _rlkit_reply "$values"
  elif [[ -z $ended && $cur == -* ]]; then
    _rlkit_reply "$options"
  elif [[ $operands == @program ]]; then
    _rlkit_program "$COMP_CWORD"
  else
    _rlkit_reply "\${subcommands:-$operands}"
  fi
}

complete -F _rlkit rlkit
`;
