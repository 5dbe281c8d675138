/**
 * The pages of the configuration: one for each section, and the index of all.
 *
 * Invariant: every key of the schema is in a table of exactly one page.
 */

import { describeSchema, type KeySchema } from "../../lib/config/json_schema.ts";
import { fileSchema } from "../../lib/config/schema/file.ts";
import { sections } from "../../plugins/registry.ts";
import { escaped, table, wrapped } from "./markdown.ts";
import type { Page } from "./pages.ts";

const DIRECTORY = "docs/configuration";

/** The index, then the sections: the file's own, then RoadRunner's. */
export function configPages(): Page[] {
  const own = describeSchema(fileSchema);
  const { plain, maps } = split(own);
  const roadrunner = [...sections()].map(([name, { schema }]) => ({
    name,
    schema: describeSchema(schema),
  }));
  const index = (all: { name: string; schema: KeySchema }[]) =>
    table(["Section", "What it holds"], all.map(({ name, schema }) => link(name, schema)));
  const ours = maps.map(([name, schema]) => ({ name, schema }));
  return [
    {
      file: "docs/configuration.md",
      parts: {
        keys: [
          "### Top level",
          table(COLUMNS, plain.map(([key, facts]) => row(key, facts, isRequired(own, key)))),
          "### Sections",
          index(ours),
          "### Sections of RoadRunner",
          index(roadrunner),
        ].join("\n\n"),
      },
    },
    ...[...ours, ...roadrunner].map(({ name, schema }): Page => ({
      file: `${DIRECTORY}/${name}.md`,
      heading: `# \`${name}\``,
      parts: { keys: keyTables(schema, name) },
    })),
  ];
}

function link(name: string, { description = "" }: KeySchema): string[] {
  return [`[\`${name}\`](configuration/${name}.md)`, description];
}

/** One heading and table for each map of the section called `top`. */
function keyTables(schema: KeySchema, top: string): string {
  const blocks: string[] = [];
  const visit = (node: KeySchema, path: string) => {
    const { plain, maps } = split(node);
    const rows = plain.map(([key, facts]) => row(key, facts, isRequired(node, key)));
    const keys = rows.length === 0 ? [] : [table(COLUMNS, rows)];
    blocks.push([`## \`${path}\``, wrapped(escaped(node.description ?? "")), ...keys].join("\n\n"));
    for (const [key, facts] of maps) {
      const { map, step } = mapOf(facts)!;
      // The description of the key itself says more than that of what is in it.
      visit({ ...map, description: withDefault(facts) }, `${path}.${key}${step}`);
    }
  };
  const { map, step } = mapOf(schema) ?? { map: schema, step: "" };
  visit({ ...map, description: withDefault(schema) }, `${top}${step}`);
  return blocks.join("\n\n");
}

type Keys = [key: string, facts: KeySchema][];

/** The keys of a map: those with a value, and those that are maps themselves. */
function split(node: KeySchema): { plain: Keys; maps: Keys } {
  const all = Object.entries(node.properties ?? {});
  return {
    plain: all.filter(([, key]) => mapOf(key) === undefined),
    maps: all.filter(([, key]) => mapOf(key) !== undefined),
  };
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

function isRequired({ required = [] }: KeySchema, key: string): boolean {
  return required.includes(key);
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
  ];
}
