import { expect, test } from "vitest";
import { type Run, toSvg } from "./svg.ts";

const run = (more: Partial<Run>): Run => ({ column: 0, text: "x", colour: undefined, bold: false, ...more });

test("a run stands in its cells, whatever the font's width, in its colour", () => {
  const picture = toSvg("a title", [[], [run({ column: 3, text: "ok", colour: 2, bold: true })]], 80);
  expect(picture).toContain('<text x="41.2" y="47.5" textLength="16.8" fill="#7ddc7d" font-weight="bold">ok</text>');
});

test("characters that mean something in XML are those characters", () => {
  const picture = toSvg('<"&">', [[run({ text: `a < b && "c" > 'd'` })]], 80);
  expect(picture).toContain("<title>&lt;&quot;&amp;&quot;&gt;</title>");
  expect(picture).toContain(">a &lt; b &amp;&amp; &quot;c&quot; &gt; 'd'</text>");
});

test("cells are counted, not the parts of a character", () => {
  expect(toSvg("", [[run({ text: "✓…𝟙" })]], 80)).toContain('textLength="25.2"');
});

test("a picture is as wide as the terminal and as high as the lines, and the same each time", () => {
  const screen = [[run({})], [], [run({ column: 79 })]];
  expect(toSvg("", screen, 80)).toContain('width="704" height="86" viewBox="0 0 704 86"');
  expect(toSvg("", screen, 80)).toBe(toSvg("", screen, 80));
});
