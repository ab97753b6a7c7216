import { expect, test } from "vitest";
import { screenOf } from "./screen.ts";

const plain = { colour: undefined, bold: false };

test("runs of one style, without the blanks at their ends", async () => {
  expect(
    await screenOf("\u001b[31mno\u001b[0m  \u001b[1;32m\u001b[0m  yes  \r\n\r\n  \u001b[1mx\u001b[0my\r\n\r\n"),
  ).toEqual([
    [
      { column: 0, text: "no", colour: 1, bold: false },
      { column: 6, text: "yes", ...plain },
    ],
    [],
    [
      { column: 2, text: "x", colour: undefined, bold: true },
      { column: 3, text: "y", ...plain },
    ],
  ]);
});

test("what is drawn over is not seen, what has scrolled away is", async () => {
  const lines = Array.from({ length: 40 }, (_, i) => `${i}\r\n`).join("");
  const screen = await screenOf(`${lines}old\r\n\u001b[1A\u001b[Jnew\r\n`);
  expect(screen.map(([run]) => run?.text)).toEqual([...Array.from({ length: 40 }, (_, i) => String(i)), "new"]);
});

test("80 columns fit, 81 do not", async () => {
  expect(await screenOf("x".repeat(80))).toHaveLength(1);
  await expect(screenOf("x".repeat(81))).rejects.toThrow("more than 80 columns: …x");
});

test.each([
  ["a background", "\u001b[41mx"],
  ["a colour of the 256", "\u001b[38;5;200mx"],
  ["a colour by its parts", "\u001b[38;2;1;2;3mx"],
  ["underlining", "\u001b[4mx"],
])("%s is refused rather than left away", async (_, output) => {
  await expect(screenOf(output)).rejects.toThrow('no such style as that of "x"');
});
