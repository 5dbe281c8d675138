/** Generated parts of pages: put where their marks are, nothing else touched. */

import { assertEquals, assertThrows } from "@std/assert";
import { escaped, table, withPart, wrapped } from "../../../scripts/lib/markdown.ts";
import { pageNow } from "../../../scripts/lib/pages.ts";

const BEGIN = "<!-- keys: made by scripts/schema.ts -->";
const END = "<!-- end of keys -->";

Deno.test("a part takes the place of the one before, and prose stays", () => {
  const page = `# x\n\nbefore\n\n${BEGIN}\n\nold\n\n${END}\n\nafter\n`;
  const next = withPart(page, "x.md", "keys", "new");
  assertEquals(next, page.replace("old", "new"));
  assertEquals(withPart(next, "x.md", "keys", "new"), next);
});

Deno.test("a page without its marks, with one of them twice, or in the wrong order is refused", () => {
  for (const page of ["", BEGIN, END, `${END} ${BEGIN}`, `${BEGIN}${END}${BEGIN}${END}`]) {
    assertThrows(() => withPart(page, "x.md", "keys", "new"), Error, "x.md has lost");
  }
});

Deno.test("a page that is missing begins as its parts", () => {
  const page = { file: "docs/nothing/here.md", heading: "# here", parts: { keys: "a table" } };
  assertEquals(pageNow(page), `# here\n\n${BEGIN}\n\na table\n\n${END}\n`);
});

Deno.test("tables and paragraphs are as the formatter has them", async () => {
  const text = `${wrapped("word ".repeat(60).trim())}\n\n${
    table(["Key", "Value"], [["`a`", "x | y"], ["`long one`", ""]])
  }\n\n${escaped("a | b")}\n`;
  const fmt = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--line-width=100", "--ext=md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = fmt.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  assertEquals(await new Response(fmt.stdout).text(), text);
  await fmt.status;
});
