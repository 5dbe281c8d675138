/** Every row of the tables "what happens when … dies" and "what a client sees" names a test there is. */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { filesBelow } from "../../../scripts/lib/project.ts";
import { type Page, PAGES, ROOT } from "./pages.ts";

const TABLES = ["docs/guides/when-it-dies.md", "docs/guides/what-clients-see.md"];

/** The titles in all tests of behaviour, as text. */
const tests = ["tests/e2e", "tests/brokers"].flatMap((folder) => filesBelow(join(ROOT, folder)))
  .filter((file) => file.endsWith("_test.ts")).map((file) => Deno.readTextFileSync(file)).join(
    "\n",
  );

/** Rows of the tables of a page: what it is about, and the name of its test. */
function rowsOf({ text }: Page): { what: string; proof: string | undefined }[] {
  return text.split("\n").filter((line) => line.startsWith("| ")).slice(2).map((line) => {
    const cells = line.split(" | ");
    return { what: cells[0].slice(2).trim(), proof: /^`(.+)`\s*\|$/.exec(cells.at(-1)!)?.[1] };
  });
}

/** Whether a title, or the end of one that is put together, stands in a test. */
function isTest(title: string): boolean {
  return title.length > 10 && [`"${title}"`, ` ${title}\``].some((text) => tests.includes(text));
}

for (const name of TABLES) {
  Deno.test(`${name}: each row names a test that there is`, () => {
    const rows = rowsOf(PAGES.find((page) => page.name === name)!);
    assert(rows.length > 20);
    assertEquals(rows.filter(({ proof }) => proof === undefined || !isTest(proof)), []);
  });
}

Deno.test("a row without a test, or with one that there is not, would be found", () => {
  const row = (proof: string) =>
    rowsOf({ name: "x.md", text: `| a | b |\n| - | - |\n| a | ${proof} |\n` });
  assertEquals(row("trust me"), [{ what: "a", proof: undefined }]);
  assertEquals(row("`nobody ever tested this`"), [{ what: "a", proof: "nobody ever tested this" }]);
  assert(!isTest(["nobody ever", "tested this"].join(" ")));
});
