/**
 * Keeps what is made from the configuration schema in step with it: `schema/supervisor.schema.json`
 * for editors, and the tables of keys in `docs/configuration.md` (the file's own) and
 * `docs/workers-config.md` (RoadRunner's sections).
 *
 *     deno run -A scripts/schema.ts --write     writes them
 *     deno run -A scripts/schema.ts --check     exits 1 and names what is out of step
 *
 * Invariant: none is ever edited by hand; every key of the schema is in the JSON Schema and in one
 * of the pages.
 */

import { fromFileUrl } from "@std/path";
import { describeSchema, type KeySchema } from "../lib/config/json_schema.ts";
import { jsonSchema } from "../lib/config/mod.ts";
import { fileSchema } from "../lib/config/schema/file.ts";
import { sections } from "../plugins/registry.ts";

/** A text that is made, and where it stands. */
export interface Generated {
  file: string;
  text: string;
}

const SCHEMA_FILE = fromFileUrl(new URL("../schema/supervisor.schema.json", import.meta.url));

/** The pages with tables of keys, and what is in them. */
const PAGES: { file: string; maps: () => [name: string, schema: KeySchema][] }[] = [
  { file: page("configuration.md"), maps: () => [["", describeSchema(fileSchema)]] },
  {
    file: page("workers-config.md"),
    maps: () => [...sections()].map(([name, { schema }]) => [name, describeSchema(schema)]),
  },
];

function page(name: string): string {
  return fromFileUrl(new URL(`../docs/${name}`, import.meta.url));
}

const BEGIN = "<!-- keys: made by scripts/schema.ts -->";
const END = "<!-- end of keys -->";

/** Everything this script keeps, as it should be now. */
export function generated(): Generated[] {
  const schema = JSON.stringify(jsonSchema(sections()), null, 2) + "\n";
  const pages = PAGES.map(({ file, maps }) => {
    const docs = Deno.readTextFileSync(file);
    const begin = docs.indexOf(BEGIN);
    const end = docs.indexOf(END);
    if (begin < 0 || end < begin) throw new Error(`${file} has lost its markers`);
    const tables = maps().map(([name, schema]) => keyTables(schema, name)).join("\n\n");
    return { file, text: `${docs.slice(0, begin)}${BEGIN}\n\n${tables}\n\n${docs.slice(end)}` };
  });
  return [{ file: SCHEMA_FILE, text: schema }, ...pages];
}

/** One heading and table for each map of what is called `top` in the file; "": the file itself. */
export function keyTables(schema: KeySchema, top: string): string {
  const blocks: string[] = [];
  const visit = (node: KeySchema, path: string) => {
    const rows = Object.entries(node.properties ?? {}).filter(([, key]) =>
      mapOf(key) === undefined
    );
    const maps = Object.entries(node.properties ?? {}).filter(([, key]) => mapOf(key));
    const heading = path === "" ? "### Top level" : `### \`${path}\``;
    const required = new Set(node.required ?? []);
    const table = rows.length === 0
      ? []
      : [markdownTable(rows.map(([key, facts]) => row(key, facts, required.has(key))))];
    blocks.push([heading, wrapped(escaped(node.description ?? "")), ...table].join("\n\n"));
    for (const [key, facts] of maps) {
      const { map, step } = mapOf(facts)!;
      const at = `${path === "" ? key : `${path}.${key}`}${step}`;
      // The description of the key itself says more than that of what is in it.
      visit({ ...map, description: withDefault(facts) }, at);
    }
  };
  visit(schema, top);
  const named = schema.properties === undefined ? mapOf(schema) : undefined;
  if (named !== undefined) visit(named.map, `${top}${named.step}`);
  return blocks.join("\n\n");
}

/** The map with fixed keys that a key holds, directly, in a list, or by name; undefined: none. */
function mapOf(node: KeySchema): { map: KeySchema; step: string } | undefined {
  if (node.properties !== undefined) return { map: node, step: "" };
  if (node.items?.properties !== undefined) return { map: node.items, step: "[]" };
  const named = node.additionalProperties;
  if (typeof named === "object" && named.properties !== undefined) {
    return { map: named, step: ".<id>" };
  }
  const choice = node.anyOf?.find((one) => one.properties !== undefined);
  return choice === undefined ? undefined : { map: choice, step: "" };
}

function withDefault({ description = "", default_from }: KeySchema): string {
  return default_from === undefined ? description : `${description} Default: ${default_from}.`;
}

const COLUMNS = ["Key", "Value", "Default", "Example", "Meaning"];

function row(key: string, facts: KeySchema, required: boolean): string[] {
  const preset = facts.default_value === undefined
    ? facts.default_from ?? "none"
    : `\`${facts.default_value}\``;
  const example = facts.example ?? facts.default_value;
  const sample = example === undefined ? "" : `\`${example}\``;
  return [
    `\`${key}\``,
    facts.kind ?? "",
    required ? "required" : preset,
    sample,
    facts.description ?? "",
  ].map(escaped);
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** Width of a paragraph, as the formatter has it. */
const LINE_WIDTH = 100;

/** A paragraph with line breaks where the formatter would put them. */
function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

/** A table whose columns are aligned as the formatter wants them. */
function markdownTable(rows: string[][]): string {
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, i) => Math.max(...all.map((cells) => cells[i].length)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(COLUMNS), rule, ...rows.map(line)].join("\n");
}

if (import.meta.main) {
  const write = Deno.args.includes("--write");
  const stale = generated().filter(({ file, text }) => {
    try {
      return Deno.readTextFileSync(file) !== text;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  });
  for (const { file, text } of stale) {
    if (write) Deno.writeTextFileSync(file, text);
    console.error(`${write ? "written" : "out of step"}: ${file}`);
  }
  if (!write && stale.length > 0) {
    console.error("fix: run `deno task schema`");
    Deno.exit(1);
  }
}
