/** Every configuration that the documentation and the examples show is valid. */

import { assert, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { join } from "@std/path";
import { read } from "../../../lib/config/mod.ts";
import { sections } from "../../../plugins/registry.ts";
import { readFiles } from "../config/kit.ts";
import { type Block, blocksOf, PAGES, ROOT } from "./pages.ts";

/** Laid under a block that shows only a part of a configuration. */
const SOMETHING_TO_RUN = "processes: { web: { command: run } }\n";

const shown = PAGES.flatMap(blocksOf).filter(({ language }) => language === "yaml");

/** A block as a whole configuration; undefined when it holds nothing to check (only a comment). */
function wholeOf({ text }: Block): string | undefined {
  const keys = Object.keys(parse(text) as Record<string, unknown> ?? {});
  // What it includes is not there.
  if (keys.length === 0 || keys.includes("include")) return undefined;
  return keys.includes("processes") ? text : text + SOMETHING_TO_RUN;
}

for (const block of shown) {
  const whole = wholeOf(block);
  if (whole === undefined) continue;
  Deno.test(`${block.page}:${block.line} shows a valid configuration`, async () => {
    const { problems } = await readFiles(whole, {}, sections());
    assertEquals(problems.map(({ line, message }) => `${line}: ${message}`), []);
  });
}

/** Pages that must show at least one: those of sections, and those one begins with. */
const SHOWING = PAGES.map(({ name }) => name).filter((name) =>
  ["README.md", "docs/configuration.md"].includes(name) || name.startsWith("docs/configuration/")
);

Deno.test("README, configuration.md and the page of each section show a configuration", () => {
  const pages = shown.filter((block) => wholeOf(block) !== undefined).map(({ page }) => page);
  assert(SHOWING.length > 10);
  assertEquals(SHOWING.filter((page) => !pages.includes(page)), []);
});

/** Configuration files of the examples, by path from the top. */
const examples = [...Deno.readDirSync(join(ROOT, "examples"))]
  .filter(({ isDirectory }) => isDirectory)
  .map(({ name }) => `examples/${name}`)
  .map((place) => {
    const names = [...Deno.readDirSync(join(ROOT, place))].map(({ name }) => name);
    return `${place}/${names.includes(".rr.yaml") ? ".rr.yaml" : "supervisor.yaml"}`;
  });

for (const name of examples) {
  Deno.test(`${name} is valid`, async () => {
    const { config, problems } = await read({ file: join(ROOT, name), env: {} }, sections());
    assertEquals(problems.map(({ line, message }) => `${line}: ${message}`), []);
    assert(config !== undefined);
    assert(config.processes.length > 0 || config.sections.http !== undefined);
  });
}
