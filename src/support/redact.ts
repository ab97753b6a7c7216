/** In place of what is nobody's business. */
const HIDDEN = "***";

/** Names of what is secret: variables, keys, options. */
const secret = "[\\w.-]*(?:token|passw(?:or)?d|passphrase|secret|key|auth|credential|cookie)[\\w.-]*";

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [^-]+-----[\s\S]*?(?:-----END [^-]+-----|$)/g, HIDDEN],
  // "name": "value" and "name": 5 of JSON; the value may hold quoted quotes.
  [new RegExp(`("${secret}"\\s*:\\s*)(?:"(?:[^"\\\\]|\\\\.)*"|[^\\s,}\\]{[]+)`, "gi"), `$1"${HIDDEN}"`],
  // "NAME=value" of JSON: an environment in a plan.
  [new RegExp(`("${secret}=)(?:[^"\\\\]|\\\\.)*"`, "gi"), `$1${HIDDEN}"`],
  // NAME=value to the end of the line, of an environment; --name=value and --name value of a command line to the next blank.
  [new RegExp(`^(${secret}=).*$`, "gim"), `$1${HIDDEN}`],
  [new RegExp(`(--?${secret}[= ])\\S+`, "gi"), `$1${HIDDEN}`],
  [new RegExp(`(\\b${secret}=)[^\\s"']+`, "gi"), `$1${HIDDEN}`],
  [/\b(Bearer|Basic)\s+\S+/gi, `$1 ${HIDDEN}`],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/"'@]*@/gi, `$1${HIDDEN}@`], // user:password@ of a URL
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, HIDDEN], // a JSON Web Token
];

/** A text without what looks like a secret: by the name that it has, or by its form. */
export function redact(text: string): string {
  return patterns.reduce((rest, [pattern, instead]) => rest.replace(pattern, instead), text);
}

/** An environment as lines, without secrets; a value with more than one line is one here. */
export function redactEnvironment(env: NodeJS.ProcessEnv): string {
  const isSecret = new RegExp(`^${secret}$`, "i");
  return Object.entries(env)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([name, value = ""]) => `${name}=${isSecret.test(name) ? HIDDEN : JSON.stringify(redact(value)).slice(1, -1)}\n`,
    )
    .join("");
}
