import type { Command } from "../cli/command.ts";
import { flags, takesValue } from "../cli/flags.ts";
import { firstWords, isOnByDefault, quoted, secondWords, valuedFlags, valuesOf } from "./tables.ts";

/** fish's completion: a function that reads the line, and one `complete` for each word that is possible. */
export function fishScript(commands: readonly Command[], groups: Readonly<Record<string, string>>): string {
  const words = (at: string, all: readonly { word: string; describe: string }[]): string[] =>
    all.map(({ word, describe }) => rule(at, `-a ${quoted(word)} -d ${text(describe)}`));
  return `# fish completion for rlkit: rlkit completion fish > ~/.config/fish/completions/rlkit.fish
${reader(commands, groups)}
complete -c rlkit -f
${[
  ...words("__rlkit_at ''", firstWords(commands, groups)),
  rule("__rlkit_at ''", "-s h -l help -d 'this help'"),
  rule("__rlkit_at ''", "-l version -d 'the version'"),
  ...Object.keys(groups).flatMap((group) => [
    ...words(`__rlkit_at ${group}`, secondWords(commands, group)),
    rule(`__rlkit_at ${group}`, "-s h -l help -d 'this help'"),
  ]),
  ...commands.flatMap((command) => [
    ...flags(command).map((flag) => optionRule(command, flag)),
    ...operandRule(command),
  ]),
].join("\n")}
`;
}

/** A word in single quotes, where fish has two escapes. */
const text = (words: string): string => `'${words.replaceAll(/[\\']/g, "\\$&")}'`;

const rule = (condition: string, what: string): string => `complete -c rlkit -n ${text(condition)} ${what}`;

function optionRule({ name }: Command, { flag, short, option }: ReturnType<typeof flags>[number]): string {
  const names = [`-l ${flag.slice(2)}`, ...(short ? [`-s ${short.slice(1)}`] : [])];
  return rule(`__rlkit_at ${quoted(name)}`, [...names, ...valueRule(option), `-d ${text(option.describe)}`].join(" "));
}

function valueRule(option: ReturnType<typeof flags>[number]["option"]): string[] {
  // Without -x the value is in the same word.
  if (isOnByDefault(option)) return ["-a 'true false'"];
  if (!takesValue(option)) return [];
  const values = valuesOf(option);
  if (values === undefined) return ["-x"];
  if (values === "file" || values === "program") return ["-r -F"];
  return values === "directory" ? ["-x -a '(__fish_complete_directories)'"] : [`-x -a ${text(values.join(" "))}`];
}

const programs = { file: "-F", directory: "-a '(__fish_complete_directories)'", program: "-a '(__rlkit_program)'" };

function operandRule({ name, completes }: Command): string[] {
  if (completes === undefined) return [];
  const what = typeof completes === "string" ? programs[completes] : `-a ${text(completes.join(" "))}`;
  return [rule(`__rlkit_in ${quoted(name)}`, what)];
}

function reader(commands: readonly Command[], groups: Readonly<Record<string, string>>): string {
  const cases = commands.map((command) =>
    [
      `        case ${quoted(command.name)}`,
      `            set valued ${valuedFlags(command).join(" ")}`,
      ...(command.optionsAnywhere ? ["            set anywhere yes"] : []),
    ].join("\n"),
  );
  return `
# Prints of the words before the cursor: the command; "options", or "operands" where no option can follow; the operands.
function __rlkit_line
    set -l words (commandline -opc)
    set -e words[1]
    set -l command $words[1]
    set -e words[1]
    if contains -- "$command" ${Object.keys(groups).join(" ")}; and set -q words[1]
        set command "$command $words[1]"
        set -e words[1]
    end
    set -l valued
    set -l anywhere
    switch "$command"
${cases.join("\n")}
    end
    set -l operands
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        switch $word
            case --
                printf '%s\\n' "$command" operands $operands $words
                return
            case '-*'
                if contains -- $word $valued; and set -q words[1]
                    set -e words[1]
                end
            case '*'
                set -a operands $word
                if test -z "$anywhere"
                    printf '%s\\n' "$command" operands $operands $words
                    return
                end
        end
    end
    printf '%s\\n' "$command" options $operands
end

# Whether the line is of this command.
function __rlkit_in
    test (__rlkit_line)[1] = "$argv[1]"
end

# Whether the line is of this command, and an option of it can follow.
function __rlkit_at
    set -l line (__rlkit_line)
    test "$line[1]" = "$argv[1]" -a "$line[2]" = options
end

# A program and its arguments.
function __rlkit_program
    set -l line (__rlkit_line)
    complete -C (string join ' ' -- (string escape -- $line[3..]) (commandline -ct))
end
`;
}
