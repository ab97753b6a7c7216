import { expect, test } from "vitest";
import { parseMarkdown, parseSpans } from "./markdown.ts";
import { toText } from "./text.ts";

const source = `# A title

A paragraph of \`code\` and **bold**
with a [link](docs/x.md).

- one that
  goes on
- two

\`\`\`sh
echo "# no heading"

- no list
\`\`\`

| head | head |
| ---- | ---- |
| \`a\`  | A    |
| bcd  | B    |
## The end`;

test("blocks", () => {
  expect(parseMarkdown(source)).toEqual([
    { kind: "heading", level: 1, text: "A title" },
    { kind: "paragraph", text: "A paragraph of `code` and **bold** with a [link](docs/x.md)." },
    { kind: "list", items: ["one that goes on", "two"] },
    { kind: "code", lines: ['echo "# no heading"', "", "- no list"] },
    {
      kind: "table",
      rows: [
        ["`a`", "A"],
        ["bcd", "B"],
      ],
    },
    { kind: "heading", level: 2, text: "The end" },
  ]);
});

test("spans", () => {
  expect(parseSpans("a `b c` **d** [e](f)")).toEqual([
    { kind: "text", text: "a " },
    { kind: "code", text: "b c" },
    { kind: "text", text: " " },
    { kind: "bold", text: "d" },
    { kind: "text", text: " e" },
  ]);
});

test.each([
  ["code without an end", "```sh\nx"],
  ["three columns", "| a | b | c |\n| - | - | - |\n| 1 | 2 | 3 |"],
])("%s is refused", (_, text) => {
  expect(() => parseMarkdown(text)).toThrow();
});

test("as plain text", () => {
  expect(toText(parseMarkdown(source), { bold: false })).toBe(`A title

A paragraph of code and bold with a link.

- one that goes on
- two

    echo "# no heading"

    - no list

  a    A
  bcd  B

The end
`);
});

test("headings are bold where that is wanted, and nothing else", () => {
  const text = toText(parseMarkdown(source), { bold: true });
  expect(text.split("\u001b[1m").length - 1).toBe(2);
  expect(text).toContain("\u001b[1mA title\u001b[0m\n");
});

test("a wide first column stands on lines of its own", () => {
  const wide = "x".repeat(30);
  expect(toText([{ kind: "table", rows: [[wide, "y"]] }], { bold: false })).toBe(`  ${wide}\n      y\n`);
});
