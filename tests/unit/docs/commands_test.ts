/** Every command that the documentation shows is one that the program understands. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { parse } from "../../../lib/cli/parse.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { pageOf } from "../../../scripts/lib/command_pages.ts";
import { blocksOf, inlineCodeOf, type Page, PAGES, ROOT } from "./pages.ts";

const NOW = () => 0;

/** Where a shell stops reading our arguments: a pipe, a redirection, another command, a comment. */
const END_OF_COMMAND = /\s+(?:[|>;]|&&|#).*$/;

/** Stands for something else, so it cannot be parsed: `supervisor COMMAND`, `…`. */
const PLACEHOLDER = /…|\[|\bCOMMAND\b/;

/** The command lines of ours that a page shows. Usage lines (`text`) are held by another test. */
function linesOf(page: Page): string[] {
  const fenced = blocksOf(page).filter(({ language }) => ["", "sh"].includes(language))
    .flatMap(({ text }) => text.split("\n"));
  return [...fenced, ...inlineCodeOf(page)]
    .filter((line) => /^(?:\.\/)?supervisor\s/.test(line) && !PLACEHOLDER.test(line))
    .map((line) => line.replace(END_OF_COMMAND, ""));
}

/** Words of a simple command line: quotes and `$(…)` keep theirs together. */
function words(line: string): string[] {
  const found = line.match(/(?:'[^']*'|"[^"]*"|\$\([^)]*\)|[^\s'"])+/g) ?? [];
  return found.map((word) => word.replaceAll(/['"]/g, ""));
}

/** @throws Failure when the program would not understand it */
function understand(line: string): void {
  const [, ...args] = words(line);
  const { command } = parse(args, COMMANDS, NOW);
  assert(command !== undefined || args[0].startsWith("--"), line);
}

for (const page of PAGES) {
  Deno.test(`${page.name}: the program understands every command line`, () => {
    for (const line of linesOf(page)) understand(line);
  });
}

Deno.test("README and pages of commands show them; a wrong one would be found", () => {
  const count = (name: string) => linesOf(PAGES.find((page) => page.name === name)!).length;
  assert(count("README.md") >= 8);
  for (const { name } of COMMANDS) assert(count(`docs/commands/${pageOf(name)}`) >= 1, name);
  for (const wrong of ["supervisor deply", "supervisor logs --folow", "supervisor scale web"]) {
    assertThrows(() => understand(wrong), Failure);
  }
});

Deno.test("every `deno task` that the documentation shows exists", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const shown = PAGES.flatMap(({ text }) =>
    [...text.matchAll(/\bdeno(?:@[\d.]+)? task ([\w:]+)/g)].map(([, task]) => task)
  );
  assert(shown.includes("start") && shown.includes("test"));
  assertEquals(shown.filter((task) => tasks[task] === undefined), []);
});

Deno.test("the version of Deno in the documentation is the one that everything is checked with", () => {
  const checked = /^DENO_NOW=(.+)$/m.exec(Deno.readTextFileSync(`${ROOT}.ci/run`))![1];
  const shown = PAGES.flatMap(({ text }) => [...text.matchAll(/\bdeno@([\d.]+\d)/g)]);
  assert(shown.length > 0);
  assertEquals(shown.map(([, version]) => version).filter((version) => version !== checked), []);
});

Deno.test("the program understands what the example's configuration tells to type", () => {
  const text = Deno.readTextFileSync(`${ROOT}examples/hello/supervisor.yaml`);
  const lines = text.split("\n").map((line) => line.replace(/^#\s*/, ""));
  const ours = lines.filter((line) => line.startsWith("./supervisor "));
  assert(ours.length > 0);
  for (const line of ours) understand(line);
});
