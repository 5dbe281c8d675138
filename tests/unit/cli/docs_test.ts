/** docs/cli.md and docs/control-api.md say what the tables of the program say. */

import { assert, assertEquals } from "@std/assert";
import type { Command } from "../../../lib/cli/command.ts";
import { argumentRow, EXIT_MEANINGS, exitsOf, optionRow, usageOf } from "../../../lib/cli/help.ts";
import { GLOBAL_OPTIONS } from "../../../lib/cli/options.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { ROUTES } from "../../../lib/control/routes.ts";

function read(name: string): string {
  return Deno.readTextFileSync(new URL(`../../../docs/${name}`, import.meta.url));
}

/** Sections by heading of the second level. */
function sections(text: string): Map<string, string> {
  const parts = text.split(/^## /m).slice(1);
  return new Map(parts.map((part) => {
    const [heading, ...rest] = part.split("\n");
    return [heading.trim(), rest.join("\n")];
  }));
}

/** A table as `deno fmt` leaves it, whatever the widths: compared cell by cell. */
function cells(text: string): string[][] {
  return text.split("\n").filter((line) => line.startsWith("|") && !/^\|[\s:|-]+\|$/.test(line))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

function factsOf(command: Command): string[][] {
  const named = (name: string, about: string) => [`\`${name.trim()}\``, about];
  return [
    ...(command.arguments ?? []).map(argumentRow).map(([name, about]) => named(name, about)),
    ...command.options.map(optionRow).map(([name, about]) => named(name, about)),
    ...exitsOf(command),
  ];
}

Deno.test("docs/cli.md has a section for each command, in order, and no other", () => {
  const headings = [...sections(read("cli.md")).keys()];
  const around = ["Options of every command", "Exit codes"];
  assertEquals(headings, [...around, ...COMMANDS.map((command) => command.name)]);
});

Deno.test("docs/cli.md: options of every command and exit codes", () => {
  const all = sections(read("cli.md"));
  const options = GLOBAL_OPTIONS.map(optionRow).map((
    [name, about],
  ) => [`\`${name.trim()}\``, about]);
  assertEquals(cells(all.get("Options of every command")!).slice(1), options);
  assertEquals(cells(all.get("Exit codes")!).slice(1), Object.entries(EXIT_MEANINGS));
});

for (const command of COMMANDS) {
  Deno.test(`docs/cli.md: ${command.name}`, () => {
    const text = sections(read("cli.md")).get(command.name) ?? "";
    assert(text.includes(`supervisor ${usageOf(command)}\n`), `usage: ${usageOf(command)}`);
    const headings = ["Argument", "Option", "Exit"];
    const found = cells(text).filter(([first]) => !headings.includes(first));
    assertEquals(found, factsOf(command));
    for (const example of command.examples) assert(text.includes(example), example);
  });
}

Deno.test("docs/control-api.md lists every route with its fields", () => {
  const text = read("control-api.md");
  const rows = cells(sections(text).get("Routes")!).slice(1);
  const expected = ROUTES.map(({ method, path, fields }) => {
    const names = Object.entries(fields).map(([name, { required }]) =>
      required ? `**\`${name}\`**` : `\`${name}\``
    );
    return [`\`${method} ${path}\``, names.join(", ") || "–"];
  });
  assertEquals(rows.map((row) => row.slice(0, 2)), expected);
});
