import { shellWord } from "../idmap/verdict.ts";

interface ShellSettings {
  bin: string | undefined;
  runtimeDir: string;
  isRuntimeDirPrivate: boolean;
}

const fishWord = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** The lines that tell a shell where things are; `fish` has another language. */
export function shellLines({ bin, runtimeDir, isRuntimeDirPrivate }: ShellSettings, fish = false): string[] {
  const host = `unix://${runtimeDir}/docker.sock`;
  if (fish) {
    return [
      ...(bin === undefined ? [] : [`fish_add_path --prepend --path ${fishWord(bin)}`]),
      ...(isRuntimeDirPrivate ? [`set -gx XDG_RUNTIME_DIR ${fishWord(runtimeDir)}`] : []),
      `set -gx DOCKER_HOST ${fishWord(host)}`,
    ];
  }
  return [
    ...(bin === undefined ? [] : [`export PATH=${shellWord(bin)}:"$PATH"`]),
    ...(isRuntimeDirPrivate ? [`export XDG_RUNTIME_DIR=${shellWord(runtimeDir)}`] : []),
    `export DOCKER_HOST=${shellWord(host)}`,
  ];
}

/** The same lines as a block of a shell's profile. */
export function profileBlock(lines: readonly string[]): string {
  return ["# >>> rlkit install >>>", ...lines, "# <<< rlkit install <<<", ""].join("\n");
}

/** Whether a text has such a block, perhaps another one. */
export const hasBlock = (text: string): boolean => text.includes("# >>> rlkit install >>>");

/** environment.d(5): for everything that the user's service manager starts, desktops too. */
export function environmentFile(bin: string | undefined): string {
  const word = (text: string): string => text.replaceAll(/[\\$"'\s]/g, (character) => `\\${character}`);
  return [
    "# Written by rlkit install. rlkit uninstall removes it, unless you change it.",
    ...(bin === undefined ? [] : [`PATH=${word(bin)}:\${PATH}`]),
    `DOCKER_HOST=unix://\${XDG_RUNTIME_DIR}/docker.sock`,
    "",
  ].join("\n");
}
