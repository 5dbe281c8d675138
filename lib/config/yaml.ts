/**
 * YAML text to tree.
 *
 * The parser is `@std/yaml`, asked twice: once for types, once for every scalar as text (its octal
 * numbers follow YAML 1.1, where `0660` is 432). The two answers are walked side by side. A number
 * is a number only when it is written the one way everybody reads alike; anything else (`0660`,
 * `1_000`, `0x1F`, `.inf`) stays text. Dates, binary and other tags are text or errors. Merge keys
 * (`<<`) and anchors work.
 *
 * Invariant: whatever the text is, the result is a bounded, acyclic tree or a list of problems.
 */

import { parse } from "@std/yaml";
import { error, type Problem } from "./problem.ts";
import type { SyntaxProblems } from "./syntax.ts";
import type { Node, Path, Source, Value } from "./tree.ts";

/** Nodes a tree may have, aliases counted each time: an alias bomb ends here. */
const MAX_NODES = 50_000;
/** Nesting of lists and tables. */
const MAX_DEPTH = 32;

/** The one way of writing numbers that no YAML version reads differently. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/** Text in which `@std/yaml` is known to be too kind: tabs as indentation, complex keys. */
const WANTS_SECOND_OPINION = /^ *\t|^\s*\? |[:[{,-]\s+(?:\?\s|\{\{)/m;

/** A tree (with problems that do not stop reading), or only problems. */
export interface Parsed {
  root?: Node;
  problems: Problem[];
}

/** Parses one document. Never throws. */
export async function parseYaml(source: Source): Promise<Parsed> {
  let found: SyntaxProblems = { fatal: [], duplicates: [] };
  try {
    if (WANTS_SECOND_OPINION.test(source.text)) found = await syntax(source);
    if (found.fatal.length > 0) return { problems: found.fatal };
    if (found.duplicates.length === 0) return build(source, []);
  } catch (thrown) {
    found = await syntax(source, thrown);
    if (found.fatal.length > 0) return { problems: found.fatal };
  }
  try {
    // Keys written twice are the only trouble: go on, there may be more to tell in one go.
    return build(source, found.duplicates);
  } catch (thrown) {
    const { fatal, duplicates } = await syntax(source, thrown);
    return { problems: [...fatal, ...duplicates] };
  }
}

/** The type a plain (unquoted) YAML scalar has; used for the expansion of a whole value too. */
export function typed(text: string): Value {
  if (text === "" || text === "~" || /^(?:null|Null|NULL)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return NUMBER.test(text) ? Number(text) : text;
}

/** Loaded only when something looks wrong: it brings a second YAML parser. */
async function syntax(source: Source, thrown?: unknown): Promise<SyntaxProblems> {
  const { syntaxProblems } = await import("./syntax.ts");
  return syntaxProblems(source, thrown);
}

function build(source: Source, duplicates: Problem[]): Parsed {
  const allowDuplicateKeys = duplicates.length > 0;
  const types = parse(source.text, { schema: "core", allowDuplicateKeys });
  const texts = parse(source.text, { schema: "failsafe", allowDuplicateKeys });
  const builder = new Builder(source, [...duplicates]);
  const root = builder.node(types, texts, []);
  if (builder.refused !== undefined) return { problems: [builder.refused] };
  return { root, problems: builder.problems };
}

class Builder {
  /** Why the tree is not to be used. */
  refused: Problem | undefined;
  #nodes = 0;
  readonly #open = new Set<object>();

  constructor(readonly source: Source, readonly problems: Problem[]) {}

  node(type: unknown, text: unknown, path: Path): Node {
    const { source } = this;
    this.#nodes++;
    if (typeof text !== "object" || text === null) return this.scalar(type, text);
    if (this.#nodes > MAX_NODES || this.#open.has(text) || path.length > MAX_DEPTH) {
      this.#refuse(text, path);
      return this.scalar(null, null);
    }
    this.#open.add(text);
    try {
      if (!Array.isArray(text)) return this.#table(type, text as Record<string, unknown>, path);
      const types = type as unknown[];
      return {
        kind: "list",
        items: text.map((item, i) => this.node(types[i], item, [...path, String(i)])),
        source,
      };
    } finally {
      this.#open.delete(text);
    }
  }

  scalar(type: unknown, text: unknown): Node {
    const written = text === null || text === undefined ? "" : String(text);
    const value = typeof type === "string" ? type : typed(written);
    return { kind: "scalar", value, text: written, source: this.source };
  }

  #table(type: unknown, texts: Record<string, unknown>, path: Path): Node {
    const types = type as Record<string, unknown>;
    const entries = new Map<string, Node>();
    const merged: Node[] = [];
    for (const key of Object.keys(texts)) {
      const at = [...path, key];
      if (key === "__proto__") {
        this.problems.push(error(at, `the key "${key}" is not allowed`, "remove it", "key"));
        continue;
      }
      // As types go, the key 0660 is the number 432, written "432".
      const typeKey = Object.hasOwn(types, key) ? key : String(parse(key, { schema: "core" }));
      const value = this.node(types[typeKey], texts[key], at);
      if (key === "<<") merged.push(value);
      else entries.set(key, value);
    }
    for (const value of merged) this.#mergeInto(entries, value, path);
    return { kind: "table", entries, source: this.source };
  }

  /** `<<: *other` or a list of them: adds the keys that are not written here. */
  #mergeInto(entries: Map<string, Node>, value: Node, path: Path): void {
    for (const from of value.kind === "list" ? value.items : [value]) {
      if (from.kind !== "table") {
        const fix = "write `<<: *name` where `&name` marks a map";
        this.problems.push(error([...path, "<<"], "a merge key `<<` needs a map", fix));
        continue;
      }
      for (const [key, node] of from.entries) if (!entries.has(key)) entries.set(key, node);
    }
  }

  #refuse(node: object, path: Path): void {
    const message = this.#open.has(node)
      ? "this alias contains itself"
      : path.length > MAX_DEPTH
      ? `this is nested more than ${MAX_DEPTH} levels deep`
      : `the document has more than ${MAX_NODES} nodes, aliases counted each time`;
    this.refused ??= error(path, message, "write the values out, flat and without aliases", "key");
  }
}
