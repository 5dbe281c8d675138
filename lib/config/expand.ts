/**
 * Environment variables in values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$` for a dollar.
 * Bare `$VAR` only where RoadRunner's configuration has it; elsewhere it belongs to the shell.
 *
 * Invariant: what a variable holds is never expanded again, and a variable that is not set is an
 * error at its place, never an empty string.
 */

import { nearest } from "../core/suggest.ts";
import { error, type Problem } from "./problem.ts";
import type { Node, Path } from "./tree.ts";
import { typed } from "./yaml.ts";

/** Variables by name. */
export type Env = Readonly<Record<string, string>>;

/** A text after expansion, or what was wrong with it. */
export interface Expanded {
  text: string;
  /** The text was one `${…}` and nothing else. */
  whole: boolean;
  problems: { part: string; message: string; fix: string }[];
}

const START = /\$(?:\$|\{|([A-Za-z_][A-Za-z0-9_]*))/g;
const INSIDE = /^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([\s\S]*))?$/;

/** Expands one text. `bare`: `$VAR` counts too. */
export function expandText(text: string, env: Env, bare: boolean): Expanded {
  const result: Expanded = { text: "", whole: false, problems: [] };
  let done = 0;
  START.lastIndex = 0;
  for (let match = START.exec(text); match !== null; match = START.exec(text)) {
    const [found, name] = match;
    let end = START.lastIndex;
    let value: string | undefined;
    if (found === "$$") value = "$";
    else if (name !== undefined) value = bare ? lookUp(name, found, env, result) : found;
    else {
      end = closing(text, end);
      const part = text.slice(match.index, end);
      value = inside(part, env, result);
      result.whole = match.index === 0 && end === text.length;
    }
    result.text += text.slice(done, match.index) + (value ?? "");
    done = START.lastIndex = end;
  }
  result.text += text.slice(done);
  return result;
}

/** Where the brace opened before `from` is closed (braces inside are counted); else the end. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === "{") depth++;
    if (text[i] === "}" && --depth === 0) return i + 1;
  }
  return text.length;
}

/** The value of `${…}`; undefined and a problem when it has none. */
function inside(part: string, env: Env, result: Expanded): string | undefined {
  const refuse = (message: string, fix: string) => {
    result.problems.push({ part, message, fix });
    return undefined;
  };
  if (!part.endsWith("}")) return refuse("this ${ has no closing }", "add the }, or write $${");
  const match = INSIDE.exec(part.slice(2, -1));
  if (match === null) {
    const shell = `write $${part} to leave it to the shell`;
    return refuse(`only \${VAR}, \${VAR:-default} and \${VAR:?message} are expanded`, shell);
  }
  const [, name, operator, argument] = match;
  if (argument?.includes("${")) return refuse("expansions cannot be nested", "name one variable");
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  // As in a shell: with the colon, a variable that is set but empty counts as not set.
  if (operator === "-") return value || argument;
  if (operator === "?" && !value) {
    const told = argument.trim() || "it is required and not set";
    return refuse(`environment variable ${name}: ${told}`, `set ${name}`);
  }
  return lookUp(name, part, env, result);
}

/** The variable's value; undefined and a problem when it is not set. */
function lookUp(
  name: string,
  part: string,
  env: Env,
  result: Expanded,
): string | undefined {
  if (Object.hasOwn(env, name)) return env[name];
  const near = nearest(name, Object.keys(env));
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  result.problems.push({
    part,
    message: `environment variable ${name} is not set`,
    fix: `set it, or give a default: \${${name}:-value}${hint}`,
  });
  return undefined;
}

/**
 * Expands every text below `node` that comes from a file (an `-o` was expanded by the shell).
 *
 * A value that is one `${…}` takes the YAML type of what it expands to. What cannot be expanded is
 * reported and left out of the returned tree (an item with its whole list, so that no position
 * shifts), so that no check complains about it a second time.
 */
export function expandTree(
  node: Node,
  env: Env,
  bare: (path: Path) => boolean,
  problems: Problem[],
  path: Path = [],
): Node | undefined {
  if (node.kind === "table") {
    const entries = new Map<string, Node>();
    for (const [key, value] of node.entries) {
      const expanded = expandTree(value, env, bare, problems, [...path, key]);
      if (expanded !== undefined) entries.set(key, expanded);
    }
    return { ...node, entries };
  }
  if (node.kind === "list") {
    const items = node.items.map((item, i) =>
      expandTree(item, env, bare, problems, [...path, String(i)])
    );
    const known = items.filter((item) => item !== undefined);
    return known.length === items.length ? { ...node, items: known } : undefined;
  }
  if (node.source.kind === "override" || typeof node.value !== "string") return node;
  if (!node.value.includes("$")) return node;
  const expanded = expandText(node.value, env, bare(path));
  for (const { part, message, fix } of expanded.problems) {
    problems.push(error(path, message, fix, { text: part }));
  }
  if (expanded.problems.length > 0) return undefined;
  const { text, whole } = expanded;
  if (!whole) return { ...node, value: text, text };
  return { ...node, value: typed(text), text, expandedFrom: node.value };
}
