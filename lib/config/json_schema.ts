/**
 * The schema for machines: JSON Schema 2020-12 for editors, and the same document with our own facts
 * (kind, default, example) for messages and documentation.
 *
 * Invariant: made from the schemas that check the file, never written by hand, so that an editor and
 * `validate` agree on every key.
 */

import * as z from "zod";
import { STOP_SIGNALS } from "./names.ts";
import type { KeyMeta } from "./schema/fields.ts";
import { fileSchema } from "./schema/file.ts";
import type { SectionSchema } from "./sections.ts";

/** A JSON Schema node as the schema library makes it, with our facts in it. */
export interface KeySchema extends Partial<KeyMeta> {
  type?: string;
  properties?: Record<string, KeySchema>;
  required?: string[];
  additionalProperties?: KeySchema | boolean;
  propertyNames?: KeySchema;
  patternProperties?: Record<string, KeySchema>;
  items?: KeySchema;
  anyOf?: KeySchema[];
  enum?: unknown[];
  const?: unknown;
  [other: string]: unknown;
}

const documents = new WeakMap<z.ZodType, KeySchema>();

/** A schema as a JSON document, our facts included. */
export function describeSchema(schema: z.ZodType): KeySchema {
  let document = documents.get(schema);
  if (document === undefined) {
    const options = { io: "input", target: "draft-2020-12", unrepresentable: "any" } as const;
    document = z.toJSONSchema(schema, options) as KeySchema;
    documents.set(schema, document);
  }
  return document;
}

/** The part of a schema that describes `path`; undefined when it knows no such key. */
export function keyAt(schema: z.ZodType, path: readonly string[]): KeySchema | undefined {
  return path.reduce<KeySchema | undefined>(step, describeSchema(schema));
}

/** The keys a map at `path` may have. */
export function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  const node = keyAt(schema, path);
  const maps = [node, ...node?.anyOf ?? []];
  return maps.flatMap((map) => Object.keys(map?.properties ?? {}));
}

function step(node: KeySchema | undefined, key: string): KeySchema | undefined {
  if (node === undefined) return undefined;
  const own = node.properties?.[key];
  if (own !== undefined) return own;
  if (typeof node.additionalProperties === "object") return node.additionalProperties;
  if (node.items !== undefined && /^\d+$/.test(key)) return node.items;
  for (const choice of node.anyOf ?? []) {
    const found = step(choice, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Keys at the top of the file that are free for anchors and other tools' notes. */
export const FREE_KEY = "^x-";

/** What stands for `${VAR}` wherever a value is not plain text. */
const EXPANSION = {
  type: "string",
  pattern: "^\\$\\{[^}]+\\}$",
  description: "A value from the environment.",
};

/**
 * JSON Schema 2020-12 of the whole file.
 *
 * @param sections the plugins' sections by name
 */
export function jsonSchema(sections: ReadonlyMap<string, SectionSchema>): Record<string, unknown> {
  const file = describeSchema(fileSchema);
  const properties = { ...file.properties };
  for (const [name, { schema }] of sections) {
    const { $schema: _, ...document } = describeSchema(schema);
    properties[name] = document;
  }
  const { $schema, description, ...rest } = file;
  return {
    $schema,
    $defs: { expansion: EXPANSION },
    title: "supervisor.yaml",
    description,
    ...(forEditors({ ...rest, properties }, true) as Record<string, unknown>),
    patternProperties: { [FREE_KEY]: {} },
  };
}

/** Takes our facts out, turning them into what JSON Schema has for them. */
function forEditors(node: KeySchema, root = false): unknown {
  const { kind, default_value, default_from, example, no_effect: _, ...rest } = node;
  const result: Record<string, unknown> = rest;
  for (const name of ["properties", "patternProperties"] as const) {
    if (node[name] === undefined) continue;
    const entries = Object.entries(node[name]).map(([key, value]) => [key, forEditors(value)]);
    result[name] = Object.fromEntries(entries);
  }
  if (node.items !== undefined) result.items = forEditors(node.items);
  if (typeof node.additionalProperties === "object") {
    result.additionalProperties = forEditors(node.additionalProperties);
  }
  if (node.anyOf !== undefined) result.anyOf = node.anyOf.map((choice) => forEditors(choice));
  if (default_value !== undefined) result.default = default_value;
  if (default_from !== undefined && node.description !== undefined) {
    result.description = `${node.description} Default: ${default_from}.`;
  }
  if (
    example !== undefined && !String(example).startsWith("[") && !String(example).startsWith("{")
  ) {
    result.examples = [example];
  }
  if (kind === "anything") return result;
  if (root || kind === undefined || node.type === "object" || node.anyOf !== undefined) {
    return result;
  }
  return asWritten(result, kind);
}

/** Forms in which a value of a kind may be written, besides as `${VAR}`. */
const FORMS: Record<string, Record<string, unknown>[]> = {
  duration: [
    { type: "string", pattern: "^\\s*(0|(\\d+(\\.\\d+)?(ms|s|m|h|d))+)\\s*$" },
    { const: 0 },
  ],
  "duration or indefinite": [
    { type: "string", pattern: "^\\s*(0|indefinite|(\\d+(\\.\\d+)?(ms|s|m|h|d))+)\\s*$" },
    { const: 0 },
  ],
  size: [
    { type: "string", pattern: "^\\s*(0|\\d+(\\.\\d+)?\\s?([kKmMgGtT][iI]?)?[bB])\\s*$" },
    { const: 0 },
  ],
  "port or range": [
    { type: "integer", minimum: 0, maximum: 65535 },
    { type: "string", pattern: "^\\s*\\d+\\s*(-\\s*\\d+\\s*)?$" },
  ],
  "duration or number of seconds": [
    { type: "string", pattern: "^\\s*(\\d+|(\\d+(\\.\\d+)?(ms|s|m|h|d))+)\\s*$" },
    { type: "integer", minimum: 0 },
  ],
  "size or number of megabytes": [
    { type: "string", pattern: "^\\s*(\\d+|\\d+(\\.\\d+)?\\s?([kKmMgGtT][iI]?)?[bB])\\s*$" },
    { type: "integer", minimum: 0 },
  ],
  "number or percentage": [
    { type: "integer", minimum: 1 },
    { type: "string", pattern: "^\\s*\\d{1,3}\\s*%?\\s*$" },
  ],
  "octal digits": [
    { type: "string", pattern: "^(0o)?[0-7]{1,4}$" },
    { type: "integer", minimum: 0, maximum: 777 },
  ],
  signal: [{ enum: [...STOP_SIGNALS] }],
};

/** What YAML makes of values that people write without quotes. */
function asWritten(node: Record<string, unknown>, kind: string): Record<string, unknown> {
  const { description, default: preset, examples, ...type } = node;
  const facts = Object.fromEntries(
    Object.entries({ description, default: preset, examples }).filter(([, v]) => v !== undefined),
  );
  if (node.type === "string" && node.enum === undefined && FORMS[kind] === undefined) {
    return { ...facts, ...type, type: ["string", "number", "boolean"] };
  }
  return { ...facts, anyOf: [...(FORMS[kind] ?? [type]), { $ref: "#/$defs/expansion" }] };
}
