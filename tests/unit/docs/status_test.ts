/** docs/status.md calls done what the tables of the program have, and missing what they lack. */

import { assert, assertEquals } from "@std/assert";
import { namesOf } from "../../../lib/cli/command.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { ROUTES } from "../../../lib/control/routes.ts";
import { PAGES } from "./pages.ts";

const page = PAGES.find(({ name }) => name === "docs/status.md")!;

/** Rows of the table under a heading: first cell and state. */
function rowsOf(heading: string): { what: string; state: string }[] {
  const section = page.text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return section.split("\n").filter((line) => line.startsWith("| ")).slice(2)
    .map((line) => line.split("|").slice(1).map((cell) => cell.trim()))
    .map(([what, state]) => ({ what, state }));
}

/** The names in backticks of rows in a state, each once. */
function named(heading: string, state: (state: string) => boolean, name: RegExp): Set<string> {
  return new Set(
    rowsOf(heading).filter((row) => state(row.state))
      .flatMap(({ what }) => [...what.matchAll(name)].map(([, found]) => found)),
  );
}

const done = (state: string) => state !== "missing";
const missing = (state: string) => state === "missing";

Deno.test("every row of docs/status.md has a state", () => {
  const rows = page.text.split("\n").filter((line) => line.startsWith("| "))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const states = rows.map((cells) =>
    cells.find((cell) => ["done", "partial", "missing", "State"].includes(cell)) ??
      (cells.every((cell) => /^-+$/.test(cell)) ? "State" : cells.join(" | "))
  );
  assertEquals(
    states.filter((state) => !["done", "partial", "missing", "State"].includes(state)),
    [],
  );
  assert(states.filter((state) => state === "done").length > 50);
});

Deno.test("commands that are done are those of the program", () => {
  const command = /`([a-z][a-z-]*)`/g;
  const ours = namesOf(COMMANDS).sort();
  assertEquals([...named("Commands", done, command)].sort(), ours);
  const gone = named("Commands", missing, command);
  assertEquals(ours.filter((name) => gone.has(name)), []);
});

Deno.test("routes that are done are those of the control API", () => {
  const route = /`(\/v1\/[\w/]+)`/g;
  const ours = [...new Set(ROUTES.map(({ path }) => path))].sort();
  assertEquals([...named("Control API", done, route)].sort(), ours);
  const gone = named("Control API", missing, route);
  assertEquals(ours.filter((path) => gone.has(path)), []);
});
