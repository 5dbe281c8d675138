/** Every link inside the repository leads somewhere, and every page is reached from the README. */

import { assertEquals } from "@std/assert";
import { dirname, join, relative } from "@std/path";
import { anchorsOf, type Page, PAGES, proseOf, ROOT } from "./pages.ts";

/** Targets of the links of a page that stay inside the repository. */
function targetsOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The file that a link leads to, from the top of the repository. */
function fileOf(page: Page, target: string): string {
  const [path] = target.split("#");
  return path === "" ? page.name : relative(ROOT, join(ROOT, dirname(page.name), path));
}

/** What is wrong with a link, or undefined. */
function trouble(page: Page, target: string): string | undefined {
  const anchor = target.split("#")[1];
  const file = fileOf(page, target);
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

/** Pages that a page links. */
function linkedBy(page: Page): Page[] {
  const names = targetsOf(page).map((target) => fileOf(page, target));
  return PAGES.filter(({ name }) => names.includes(name));
}

/** Pages that one reaches from a page by at most `clicks` links. */
function reachedFrom(start: string, clicks: number): Set<string> {
  const reached = new Set([start]);
  let last = PAGES.filter(({ name }) => name === start);
  for (let i = 0; i < clicks; i++) {
    last = last.flatMap(linkedBy).filter(({ name }) => !reached.has(name));
    for (const { name } of last) reached.add(name);
  }
  return reached;
}

Deno.test("every page is at most two clicks away from the README, every page of docs itself one", () => {
  const near = reachedFrom("README.md", 1);
  const far = reachedFrom("README.md", 2);
  const missing = PAGES.map(({ name }) => name).filter((name) =>
    !(/^(?:docs\/)?[^/]+$/.test(name) ? near : far).has(name)
  );
  assertEquals(missing, []);
});

Deno.test("a link that leads nowhere is found", () => {
  const page = {
    name: "docs/x.md",
    text: "[a](gone.md) [b](cli.md#nothing) [c](cli.md#exit-codes)\n",
  };
  assertEquals(targetsOf(page).map((target) => trouble(page, target)), [
    "docs/x.md: gone.md: there is no docs/gone.md",
    "docs/x.md: cli.md#nothing: there is no such heading",
    undefined,
  ]);
});
