/** What Go names in its quoted strings. */
const named: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\\": "\\\\",
};

/** A byte as Go's strconv.Quote shows it. */
function goEscape(byte: string): string {
  const code = byte.charCodeAt(0);
  const hex = code.toString(16).padStart(2, "0");
  if (code < 0x20 || code === 0x7f) return named[byte] ?? `\\x${hex}`;
  // Not printable, by Go: C1 controls, the non-breaking space, the soft hyphen.
  if ((code >= 0x80 && code <= 0xa0) || code === 0xad) return `\\u00${hex}`;
  return named[byte] ?? byte;
}

/** A byte as Go shows the one that it did not expect. */
export const goQuoteByte = (byte: string): string => `'${byte === "'" ? "\\'" : goEscape(byte)}'`;

/** A string as Go quotes it in its own messages (strconv.Quote). */
export function goQuote(text: string): string {
  return `"${[...text].map((c) => (c === '"' ? '\\"' : c.charCodeAt(0) < 0x100 ? goEscape(c) : c)).join("")}"`;
}

/** JSON as Go writes it: `<`, `>` and `&` are escaped, so that it may stand in a web page. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
