/**
 * Tree against schema: values out, or every complaint at once.
 *
 * Two things happen here that a schema library alone does not do. Scalars that YAML typed (`8080`,
 * `true`) are offered again as the text they were written in where text is wanted. And when there
 * are mistakes, the file is checked once more without them, so that the rules between keys still
 * have something to look at.
 *
 * Invariant: `problems` has no error exactly when `value` is the whole of what was written.
 */

import * as z from "zod";
import { explain, leaves } from "./explain.ts";
import { keyAt } from "./json_schema.ts";
import { error, MAX_PROBLEMS, type Problem } from "./problem.ts";
import {
  children,
  find,
  isEnvValue,
  type Node,
  type Path,
  type Scalar,
  scalars,
  withEntry,
  without,
} from "./tree.ts";

/** Rounds of leaving mistakes out before giving up. */
const MAX_ROUNDS = 16;

/** What a check found. */
export interface Checked<T> {
  /** What is valid of it; undefined when nothing could be saved. */
  value?: T;
  problems: Problem[];
}

/** Checks `node`, found at `base` of the file, against `schema`. */
export function validate<S extends z.ZodType>(
  schema: S,
  node: Node,
  base: Path = [],
): Checked<z.output<S>> {
  const problems: Problem[] = [];
  let rest = withoutNul(node, base, problems);
  for (let round = 0; rest !== undefined && round < MAX_ROUNDS; round++) {
    const result = parse(schema, rest, base);
    if (result.success) return { value: result.data, problems };
    // Later rounds only bring up what hangs on a value that was left out.
    if (round === 0) {
      const left = rest;
      const told = explain(schema, result.error.issues, rest, base);
      problems.push(...told.filter(({ path }) => !isTakenOut(path.slice(base.length), node, left)));
    }
    const wrong = leaves(result.error.issues, rest).flatMap((issue) =>
      issue.keys === undefined ? [issue.path] : issue.keys.map((key) => [...issue.path, key])
    );
    if (wrong.length > MAX_PROBLEMS) break;
    rest = wrong.reduce<Node | undefined>((tree, at) => leaveOut(tree, at, schema), rest);
  }
  return { problems };
}

/**
 * The tree without what is wrong at `path`. A required key that is missing gets its example, so that
 * the rest of its owner can still be looked at; when that is no plain value, the owner goes.
 */
function leaveOut(root: Node | undefined, path: Path, schema: z.ZodType): Node | undefined {
  if (root === undefined) return undefined;
  if (find(root, path) !== undefined) return without(root, path);
  const ownerPath = path.slice(0, -1);
  const owner = find(root, ownerPath);
  // It went with something else that was left out.
  if (owner === undefined) return root;
  const text = String(keyAt(schema, path)?.example ?? "[");
  if (owner.kind !== "table" || /^[[{]/.test(text)) return without(root, ownerPath);
  const { source } = owner;
  return withEntry(root, path, { kind: "scalar", value: text, text, source });
}

function parse<S extends z.ZodType>(schema: S, root: Node, base: Path) {
  const asText = new Set<Scalar>();
  for (;;) {
    const result = schema.safeParse(plain(root, base, asText));
    if (result.success) return result;
    const before = asText.size;
    for (const { path, issue } of leaves(result.error.issues, root)) {
      if (!/^invalid_(?:type|union|value)$/.test(issue.code)) continue;
      const node = find(root, path);
      if (node?.kind !== "scalar" || typeof node.value === "string") continue;
      if (node.value !== null) asText.add(node);
    }
    if (asText.size === before) return result;
  }
}

/** The tree as plain values. Keys without a value count as not written, except where that matters. */
function plain(node: Node, path: Path, asText: ReadonlySet<Scalar>): unknown {
  if (node.kind === "scalar") {
    if (node.value === null && node.expandedFrom !== undefined && isEnvValue(path)) return "";
    return asText.has(node) ? node.text : node.value;
  }
  if (node.kind === "list") {
    return node.items.map((item, i) => plain(item, [...path, String(i)], asText));
  }
  const result: Record<string, unknown> = Object.create(null);
  for (const [key, value] of children(node)) {
    const at = [...path, key];
    const written = plain(value, at, asText);
    if (written !== null || isEnvValue(at) || isProcess(at)) result[key] = written;
  }
  return result;
}

function isProcess(path: Path): boolean {
  return path.length === 2 && (path[0] === "processes" || path[0] === "service");
}

/** Written, but taken out before: there is a complaint about it already. */
function isTakenOut(path: Path, written: Node, rest: Node): boolean {
  return find(written, path) !== undefined && find(rest, path) === undefined;
}

/** No program, path or environment can hold a NUL. */
function withoutNul(node: Node, base: Path, problems: Problem[]): Node | undefined {
  let result: Node | undefined = node;
  for (const [path, { text }] of scalars(node)) {
    if (!text.includes("\0")) continue;
    const at = [...base, ...path];
    problems.push(error(at, "this value contains a NUL character", "remove the \\0"));
    result = result && without(result, path);
  }
  return result;
}
