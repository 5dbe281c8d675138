/** The tokenizer must never take text for code, nor code for text. */

import { assertEquals } from "@std/assert";
import { importsOf, tokens } from "../../../scripts/lib/tokens.ts";

const texts = (source: string) => tokens(source).map(({ kind, text }) => `${kind} ${text}`);

Deno.test("comments, strings and regular expressions are not code", () => {
  assertEquals(texts("a // setTimeout()\n/* Deno */ b"), ["name a", "name b"]);
  assertEquals(texts(`"it's // no comment" + 'x\\'y'`), [
    "string it's // no comment",
    "mark +",
    "string x\\'y",
  ]);
  assertEquals(texts("x = /[/\"'`]/g.test(y)").slice(0, 3), [
    "name x",
    "mark =",
    "regex /[/\"'`]/g",
  ]);
  assertEquals(texts("return /a/"), ["name return", "regex /a/"]);
});

Deno.test("a slash after a value divides", () => {
  assertEquals(texts("a / b / c"), ["name a", "mark /", "name b", "mark /", "name c"]);
  assertEquals(texts("(1) / 2").at(-2), "mark /");
});

Deno.test("what stands inside ${} of a template is code, also nested", () => {
  assertEquals(texts("`a ${b + `c ${ {d: 1}.d } e`} \\` f`"), [
    "template a ",
    "name b",
    "mark +",
    "template c ",
    "mark {",
    "name d",
    "mark :",
    "number 1",
    "mark }",
    "mark .",
    "name d",
    "template  e",
    "template  \\` f",
  ]);
});

Deno.test("lines are counted through everything that spans lines", () => {
  const found = tokens("/*\n\n*/ a\n`x\ny` b\n'z' c");
  assertEquals(found.filter(({ kind }) => kind === "name").map(({ text, line }) => [text, line]), [
    ["a", 3],
    ["b", 5],
    ["c", 6],
  ]);
});

Deno.test("imports are found in every form, with their run-time weight", () => {
  const source = `import a from "1";
import * as b from "2";
import { c, type C } from "3";
import type { D } from "4";
import { type E, type F } from "5";
import "6";
export * from "7";
export { g } from "8";
export type { G } from "9";
const h = await import("10");
export const from = "11";
export function i() {}
import type from "12";
const meta = import.meta.url; x.import("13");
import j from "14" with { type: "json" };`;
  assertEquals(
    importsOf(tokens(source)).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ["1", 1, false],
      ["2", 2, false],
      ["3", 3, false],
      ["4", 4, true],
      ["5", 5, true],
      ["6", 6, false],
      ["7", 7, false],
      ["8", 8, false],
      ["9", 9, true],
      ["10", 10, false],
      ["12", 13, false],
      ["14", 15, false],
    ],
  );
});
