/** Every link inside the repository leads somewhere, and every page is found from the README. */

import { assertEquals } from "@std/assert";
import { dirname, join, relative } from "@std/path";
import { anchorsOf, type Page, PAGES, proseOf, ROOT } from "./pages.ts";

/** Targets of the links of a page that stay inside the repository. */
function targetsOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** What is wrong with a link, or undefined. */
function trouble(page: Page, target: string): string | undefined {
  const [path, anchor] = target.split("#");
  const file = path === "" ? page.name : relative(ROOT, join(ROOT, dirname(page.name), path));
  try {
    Deno.statSync(join(ROOT, file));
  } catch {
    return `${page.name}: ${target}: there is no ${file}`;
  }
  if (anchor === undefined) return undefined;
  const there = PAGES.find(({ name }) => name === file);
  if (there !== undefined && anchorsOf(there).includes(anchor)) return undefined;
  return `${page.name}: ${target}: there is no such heading`;
}

Deno.test("every relative link resolves, to the heading if it names one", () => {
  const troubles = PAGES.flatMap((page) => targetsOf(page).map((target) => trouble(page, target)))
    .filter((sentence) => sentence !== undefined);
  assertEquals(troubles, []);
});

Deno.test("the README links every page of docs", () => {
  const readme = PAGES.find(({ name }) => name === "README.md")!;
  const linked = new Set(targetsOf(readme));
  const missing = PAGES.map(({ name }) => name).filter((name) =>
    name !== "README.md" && !linked.has(name)
  );
  assertEquals(missing, []);
});

Deno.test("a link that leads nowhere is found", () => {
  const page = { name: "docs/x.md", text: "[a](gone.md) [b](cli.md#nothing) [c](cli.md#serve)\n" };
  assertEquals(targetsOf(page).map((target) => trouble(page, target)), [
    "docs/x.md: gone.md: there is no docs/gone.md",
    "docs/x.md: cli.md#nothing: there is no such heading",
    undefined,
  ]);
});
