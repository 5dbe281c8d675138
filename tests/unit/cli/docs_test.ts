/** Pages of commands and docs/control-api.md say what the tables of the program say. */

import { assert, assertEquals } from "@std/assert";
import { EXIT_MEANINGS, exitsOf, usageOf } from "../../../lib/cli/help.ts";
import { GLOBAL_OPTIONS } from "../../../lib/cli/options.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { ROUTES } from "../../../lib/control/routes.ts";
import { pageOf } from "../../../scripts/lib/command_pages.ts";
import { marks } from "../../../scripts/lib/markdown.ts";

function read(name: string): string {
  return Deno.readTextFileSync(new URL(`../../../docs/${name}`, import.meta.url));
}

/** A page without what is generated and without its heading: what a person wrote. */
function prose(text: string): string {
  let left = text.replace(/^# .*$/m, "");
  for (const name of ["usage", "reference"]) {
    const { begin, end } = marks(name);
    left = left.slice(0, left.indexOf(begin)) + left.slice(left.indexOf(end) + end.length);
  }
  return left.trim();
}

/** A table as `deno fmt` leaves it, whatever the widths: compared cell by cell. */
function cells(text: string): string[][] {
  return text.split("\n").filter((line) => line.startsWith("|") && !/^\|[\s:|-]+\|$/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("docs/commands has a page for each command, and no other", () => {
  const pages = [...Deno.readDirSync(new URL("../../../docs/commands", import.meta.url))];
  const names = COMMANDS.map(({ name }) => pageOf(name));
  assertEquals(pages.map(({ name }) => name).sort(), names.sort());
});

Deno.test("docs/cli.md names every command, option of all and exit code", () => {
  const text = read("cli.md");
  for (const { name, about } of COMMANDS) {
    assert(text.includes(`[\`${name}\`](commands/${pageOf(name)})`) && text.includes(about), name);
  }
  for (const { name, about } of GLOBAL_OPTIONS) {
    assert(text.includes(`--${name}`) && text.includes(about), name);
  }
  for (const meaning of Object.values(EXIT_MEANINGS)) assert(text.includes(meaning), meaning);
});

for (const command of COMMANDS) {
  Deno.test(`docs/commands/${pageOf(command.name)} has all of its command, and says more`, () => {
    const text = read(`commands/${pageOf(command.name)}`);
    assert(text.includes(`supervisor ${usageOf(command)}\n`), `usage: ${usageOf(command)}`);
    for (const { name, about } of command.options) {
      assert(text.includes(`--${name}`) && text.includes(about), name);
    }
    for (const { name, about } of command.arguments ?? []) {
      assert(text.includes(`\`${name}\``) && text.includes(about), name);
    }
    for (const row of exitsOf(command)) {
      assert(cells(text).some((cells) => `${cells}` === `${row}`), `${row}`);
    }
    for (const example of command.examples) assert(text.includes(`\n${example}\n`), example);
    assert(prose(text).length > 50, "nobody has written anything about it");
  });
}

Deno.test("docs/control-api.md lists every route with its fields", () => {
  const text = read("control-api.md");
  const routes = text.split(/^## /m).find((part) => part.startsWith("Routes\n")) ?? "";
  const rows = cells(routes).slice(1);
  const expected = ROUTES.map(({ method, path, fields }) => {
    const names = Object.entries(fields).map(([name, { required }]) =>
      required ? `**\`${name}\`**` : `\`${name}\``
    );
    return [`\`${method} ${path}\``, names.join(", ") || "–"];
  });
  assertEquals(rows.map((row) => row.slice(0, 2)), expected);
});
