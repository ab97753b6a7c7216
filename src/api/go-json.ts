import { RlkitError } from "../errors.ts";
import { goQuoteByte } from "./go-text.ts";

/**
 * A JSON value as it was written: numbers keep their text, and objects every field in order (Go decides later what a number
 * or a field that comes twice is).
 */
export type Json =
  | { readonly kind: "null" }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "array"; readonly items: readonly Json[] }
  | { readonly kind: "object"; readonly fields: readonly (readonly [name: string, value: Json])[] };

type Container = { kind: "array"; items: Json[] } | { kind: "object"; fields: [string, Json][]; name: string };

const MAX_DEPTH = 10_000; // Go's
const literals: Readonly<Record<string, Json>> = {
  t: { kind: "bool", value: true },
  f: { kind: "bool", value: false },
  n: { kind: "null" },
};
const words: Readonly<Record<string, string>> = { t: "true", f: "false", n: "null" };
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Parses the first JSON value of a text and leaves alone what follows it, as the Decoder of Go's encoding/json does. Errors are
 * RlkitErrors in that package's words, which RootlessKit passes on: `EOF` for a text that is blank, `unexpected EOF` for one that
 * stops within the value, `invalid character 'x' looking for beginning of value`.
 */
export function parseGoJson(bytes: Buffer): Json {
  return new Parser(bytes).parse();
}

/** Whether a byte stands for itself within a string; NaN, past the end, does not. */
const isPlain = (code: number): boolean => code >= 0x20 && code !== 0x22 && code !== 0x5c;

/** Reads bytes, not characters: Go names the byte that it did not expect. */
class Parser {
  readonly #bytes: string;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes.toString("latin1");
  }

  parse(): Json {
    this.#space();
    if (this.#at === this.#bytes.length) throw new RlkitError("PORT", "EOF");
    // No recursion: a body of brackets must not reach the end of the stack.
    const open: Container[] = [];
    for (;;) {
      let value = this.#begin(open);
      while (value !== undefined) {
        const parent = open.at(-1);
        if (parent === undefined) return value;
        value = this.#add(parent, value) ? open.pop() : undefined;
      }
    }
  }

  /** Reads a value, or the beginning of one that has parts: then it returns undefined, and a part comes next. */
  #begin(open: Container[]): Json | undefined {
    const c = this.#token();
    if (c !== "{" && c !== "[") return this.#scalar(c);
    if (open.length === MAX_DEPTH) this.#fail("exceeded max depth");
    this.#at += 1;
    const container: Container = c === "{" ? { kind: "object", fields: [], name: "" } : { kind: "array", items: [] };
    if (this.#token() === (c === "{" ? "}" : "]")) {
      this.#at += 1;
      return container;
    }
    if (container.kind === "object") container.name = this.#name();
    open.push(container);
    return undefined;
  }

  /** Puts a part where it belongs and reads what comes after it; true if that was the end of the whole. */
  #add(parent: Container, value: Json): boolean {
    if (parent.kind === "object") parent.fields.push([parent.name, value]);
    else parent.items.push(value);
    const c = this.#token();
    const isEnd = c === (parent.kind === "object" ? "}" : "]");
    if (!isEnd && c !== ",")
      this.#fail(parent.kind === "object" ? "after object key:value pair" : "after array element");
    this.#at += 1;
    if (!isEnd && parent.kind === "object") parent.name = this.#name();
    return isEnd;
  }

  /** A field's name, and the colon. */
  #name(): string {
    if (this.#token() !== '"') this.#fail("looking for beginning of object key string");
    const name = this.#string();
    if (this.#token() !== ":") this.#fail("after object key");
    this.#at += 1;
    return name;
  }

  #scalar(c: string): Json {
    if (c === '"') return { kind: "string", value: this.#string() };
    if (/[-\d]/.test(c)) return { kind: "number", text: this.#number() };
    const literal = literals[c];
    if (literal === undefined) this.#fail("looking for beginning of value");
    const word = words[c] ?? "";
    for (const expected of word) {
      if (this.#char() !== expected) this.#fail(`in literal ${word} (expecting '${expected}')`);
      this.#at += 1;
    }
    return literal;
  }

  #number(): string {
    const start = this.#at;
    if (this.#char() === "-") this.#at += 1;
    if (this.#char() === "0") this.#at += 1;
    else this.#digits("in numeric literal");
    if (this.#bytes[this.#at] === ".") {
      this.#at += 1;
      this.#digits("after decimal point in numeric literal");
    }
    if (/[eE]/.test(this.#bytes[this.#at] ?? "")) {
      this.#at += 1;
      if (/[-+]/.test(this.#char())) this.#at += 1;
      this.#digits("in exponent of numeric literal");
    }
    return this.#bytes.slice(start, this.#at);
  }

  #digits(where: string): void {
    if (!/\d/.test(this.#char())) this.#fail(where);
    while (/\d/.test(this.#bytes[this.#at] ?? "")) this.#at += 1;
  }

  #string(): string {
    let text = "";
    for (this.#at += 1; ; ) {
      const start = this.#at;
      while (isPlain(this.#bytes.charCodeAt(this.#at))) this.#at += 1;
      text += Buffer.from(this.#bytes.slice(start, this.#at), "latin1").toString("utf8");
      const c = this.#char();
      if (c === '"') break;
      if (c !== "\\") this.#fail("in string literal");
      this.#at += 1;
      text += this.#escape();
    }
    this.#at += 1;
    return text.toWellFormed();
  }

  #escape(): string {
    const c = this.#char();
    const simple = escapes[c];
    if (simple === undefined && c !== "u") this.#fail("in string escape code");
    this.#at += 1;
    if (simple !== undefined) return simple;
    const start = this.#at;
    for (; this.#at < start + 4; this.#at += 1) {
      if (!/[\da-fA-F]/.test(this.#char())) this.#fail("in \\u hexadecimal character escape");
    }
    return String.fromCharCode(Number.parseInt(this.#bytes.slice(start, this.#at), 16));
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#bytes[this.#at] ?? "")) this.#at += 1;
  }

  /** The next character that is no space, without going past it. */
  #token(): string {
    this.#space();
    return this.#char();
  }

  /** The next character, without going past it. */
  #char(): string {
    const c = this.#bytes[this.#at];
    if (c === undefined) throw new RlkitError("PORT", "unexpected EOF");
    return c;
  }

  #fail(where: string): never {
    throw new RlkitError("PORT", `invalid character ${goQuoteByte(this.#char())} ${where}`);
  }
}
