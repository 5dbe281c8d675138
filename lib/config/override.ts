/**
 * `-o key.path=value`: the last word on any value.
 *
 * Invariant: an override means what it would mean in the file at that place; its value is read as
 * YAML, and a key that does not exist there is a mistake of the override, not of the file.
 */

import { error, type Problem, type Spot } from "./problem.ts";
import { child, type Node, type Path, type Source, type Table } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/** Overrides come after every file in the order of sources. */
const AFTER_FILES = 1_000_000;

/** Lays overrides over a tree, in order; what cannot be understood is reported. */
export async function applyOverrides(
  root: Table,
  overrides: readonly string[],
  dir: string,
  problems: Problem[],
): Promise<Table> {
  let result = root;
  for (const [i, text] of overrides.entries()) {
    const source: Source = { kind: "override", name: text, dir, text, order: AFTER_FILES + i };
    const complain = (message: string, fix: string, spot: Spot = "key") => {
      const at = { source, offset: 0, length: text.length };
      problems.push({ ...error([], message, fix, spot), at });
    };
    const equals = text.indexOf("=");
    const keys = equals < 1 ? undefined : splitKeys(text.slice(0, equals));
    if (keys === undefined) {
      complain("an override has the form key.path=value", "e.g. -o proxy.drain_timeout=30s");
      continue;
    }
    if (keys[0] === "include") {
      complain("include cannot be overridden", "write it in the file");
      continue;
    }
    const parsed = await parseYaml({ ...source, text: text.slice(equals + 1) });
    if (parsed.root === undefined || parsed.problems.length > 0) {
      complain("the value of this override is not valid YAML", "put it in quotes", "value");
      continue;
    }
    result = overlay(result, keys, withSource(parsed.root, source), source) as Table;
  }
  return result;
}

/** Splits at dots outside double quotes; undefined when a key is empty. */
function splitKeys(text: string): string[] | undefined {
  const keys = text.trim().match(/"[^"]*"|[^."]+|\.(?=\.|$)|^\./g) ?? [];
  if (keys.length === 0 || keys.some((key) => key === "." || key === '""')) return undefined;
  return keys.map((key) => key.replace(/^"|"$/g, ""));
}

/** Sets `keys` to `value`. Keys of the file may hold dots: the longest that exists is taken. */
function overlay(node: Node | undefined, keys: Path, value: Node, source: Source): Node {
  if (keys.length === 0) return value;
  let taken = 1;
  for (let count = keys.length; count > 1; count--) {
    if (node?.kind !== "table" || !node.entries.has(keys.slice(0, count).join("."))) continue;
    taken = count;
    break;
  }
  const key = keys.slice(0, taken).join(".");
  const next = overlay(child(node, key), keys.slice(taken), value, source);
  if (node?.kind === "list" && child(node, key) !== undefined) {
    return { ...node, items: node.items.map((item, i) => String(i) === key ? next : item) };
  }
  const base: Table = node?.kind === "table" ? node : { kind: "table", entries: new Map(), source };
  const entries = new Map(base.entries).set(key, next);
  return { ...base, entries };
}

/** The same tree as written in `source`. */
function withSource(node: Node, source: Source): Node {
  if (node.kind === "scalar") return { ...node, source };
  if (node.kind === "list") {
    return { ...node, source, items: node.items.map((item) => withSource(item, source)) };
  }
  const entries = new Map([...node.entries].map(([key, n]) => [key, withSource(n, source)]));
  return { ...node, source, entries };
}
