/**
 * What the schema library says, in words for people: which field, what it must be, what it got, what
 * to write.
 *
 * Invariant: every issue becomes at least one problem with a fix; what is shown as "got" is the text
 * of the file.
 */

import type * as z from "zod";
import { nearest } from "../core/suggest.ts";
import { writeOneOf } from "./schema/fields.ts";
import { keyAt, keysAt, type KeySchema } from "./json_schema.ts";
import { error, type Problem } from "./problem.ts";
import { describe, dotted, find, isEnvValue, type Node, type Path } from "./tree.ts";

/** Known keys listed in a fix. */
const LISTED_KEYS = 12;

/** One thing the schema library objects to, at its real place. */
export interface Leaf {
  path: string[];
  issue: z.core.$ZodIssue;
  /** Unknown keys, when that is what it is about. */
  keys?: string[];
}

/** Issues with unions resolved: the alternative that fits the kind of value that was written. */
export function leaves(
  issues: readonly z.core.$ZodIssue[],
  root: Node,
  base: readonly string[] = [],
): Leaf[] {
  return issues.flatMap((issue): Leaf[] => {
    const path = [...base, ...issue.path.map(String)];
    if (issue.code === "unrecognized_keys") return [{ path, issue, keys: issue.keys }];
    if (issue.code !== "invalid_union") return [{ path, issue }];
    const fits = issue.errors.find((errors) => !errors.some(isWrongKind));
    return fits === undefined ? [{ path, issue }] : leaves(fits, root, path);
  });
}

/** The value is of another kind altogether, so this alternative was not meant. */
function isWrongKind(issue: z.core.$ZodIssue): boolean {
  if (issue.path.length > 0) return false;
  return issue.code === "invalid_type" || issue.code === "invalid_value";
}

/** Problems for `issues` of `schema` about `root`, which is at `base` of the file. */
export function explain(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  root: Node,
  base: Path,
): Problem[] {
  const problems: Problem[] = [];
  const meant = new Set<string>();
  for (const { path, keys = [] } of leaves(issues, root)) {
    const known = keysAt(schema, path);
    for (const key of keys) {
      const at = [...base, ...path, key];
      problems.push(unknownKey(at, known));
      const near = nearest(key, known);
      if (near !== undefined) meant.add(dotted([...base, ...path, near]));
    }
  }
  for (const { path, issue, keys } of leaves(issues, root)) {
    const at = [...base, ...path];
    const node = find(root, path);
    // A required key that is there under a mistyped name is not missing as well.
    if (keys !== undefined || (node === undefined && meant.has(dotted(at)))) continue;
    problems.push(explainLeaf(issue, { path: at, node }, keyAt(schema, path) ?? {}));
  }
  return problems;
}

/** A key that nobody knows. */
export function unknownKey(path: Path, known: readonly string[]): Problem {
  const key = path.at(-1)!;
  const owner = dotted(path.slice(0, -1));
  const message = `unknown key "${key}"${owner === "" ? "" : ` in ${owner}`}`;
  const near = nearest(key, known);
  if (near !== undefined) return error(path, message, `did you mean "${near}"?`, "key");
  const list = known.slice(0, LISTED_KEYS).join(", ");
  const fix = `remove it; known here: ${list}${known.length > LISTED_KEYS ? ", …" : ""}`;
  return error(path, message, fix, "key");
}

interface Place {
  path: Path;
  node: Node | undefined;
}

function explainLeaf(issue: z.core.$ZodIssue, { path, node }: Place, schema: KeySchema): Problem {
  const field = dotted(path) || "the file";
  const say = (predicate: string, fix: string) => error(path, `${field} ${predicate}`, fix);
  const got = describe(node);
  const missing = node === undefined || (node.kind === "scalar" && node.value === null);
  switch (issue.code) {
    case "custom":
      return say(issue.message, String(issue.params?.fix ?? "change it"));
    case "invalid_key": {
      const inner = issue.issues[0];
      const params = inner?.code === "custom" ? inner.params : undefined;
      const predicate = inner?.code === "custom" ? inner.message : "is not a valid name";
      const fix = String(params?.fix ?? "use letters, digits and _");
      return error(path, `the name "${path.at(-1)}" ${predicate}`, fix, "key");
    }
    case "invalid_value": {
      const choices = issue.values.map(String);
      const fix = writeOneOf(node?.kind === "scalar" ? node.text : "", choices);
      if (choices.length === 1) return say(`must be ${choices[0]}, got ${got}`, fix);
      return say(`must be ${listed(choices)}, got ${got}`, fix);
    }
    case "too_small":
    case "too_big":
      return explainRange(issue, say, got);
    case "invalid_type":
    case "invalid_union":
      if (missing) return explainMissing(path, node, schema);
      return explainType(issue, say, node, schema, path);
    default:
      return say(`is not valid: ${issue.message}`, exampleFix(path, schema));
  }
}

type Say = (predicate: string, fix: string) => Problem;

function explainRange(
  issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig,
  say: Say,
  got: string,
): Problem {
  const small = issue.code === "too_small";
  const limit = Number(small ? issue.minimum : issue.maximum);
  if (issue.origin === "array" || issue.origin === "string") {
    const what = issue.origin === "array" ? "entry" : "character";
    const bound = small ? "at least" : "at most";
    const fix = small ? "add one, or remove the key" : "shorten it";
    return say(`must have ${bound} ${limit} ${what}${limit === 1 ? "" : "s"}`, fix);
  }
  const bound = small ? "at least" : "at most";
  return say(
    `must be ${bound} ${limit}, got ${got}`,
    `write ${limit} or ${small ? "more" : "less"}`,
  );
}

function explainMissing(path: Path, node: Node | undefined, schema: KeySchema): Problem {
  const key = path.at(-1) ?? "";
  const isEntry = schema.properties !== undefined;
  if (isEnvValue(path)) {
    return error(path, `${dotted(path)} has no value`, `write ${key}: ""`, "key");
  }
  if (node !== undefined && isEntry) {
    const [needed] = schema.required ?? Object.keys(schema.properties ?? {});
    const sample = schema.properties?.[needed]?.example;
    const fix = `add ${needed}: ${sample ?? "…"} below it, or remove the key`;
    return error(path, `${dotted(path)} is empty`, fix, "key");
  }
  if (node !== undefined && /^\d+$/.test(key)) {
    return error(path, `${dotted(path)} is empty`, "write a value, or remove the entry");
  }
  return error(path, `${dotted(path)} is missing`, exampleFix(path, schema, "add"), "key");
}

function explainType(
  issue: z.core.$ZodIssue,
  say: Say,
  node: Node | undefined,
  schema: KeySchema,
  path: Path,
): Problem {
  const got = describe(node);
  const expected = issue.code === "invalid_type" ? issue.expected : undefined;
  const written = node?.kind === "scalar" ? node.text : "";
  switch (expected) {
    case "boolean": {
      const yes = /^(?:yes|on|y|1|t|enabled?)$/i.test(written) || /^"?true"?$/i.test(written);
      const no = /^(?:no|off|n|0|f|disabled?|false)$/i.test(written);
      const fix = yes ? "write true" : no ? "write false" : "write true or false";
      return say(`must be true or false, got ${got}`, fix);
    }
    case "int":
    case "number": {
      const what = schema.type === "integer" ? "a whole number" : "a number";
      const digits = /^\+?0*(\d+)(?:\.0+)?$/.exec(written.replaceAll("_", ""))?.[1];
      const quoted = digits === written ? ", without quotes" : "";
      const fix = digits === undefined ? exampleFix(path, schema) : `write ${digits}${quoted}`;
      return say(`must be ${what}, got ${got}`, fix);
    }
    case "array":
      return say(`must be a list, got ${got}`, listFix(node, path, schema));
    case "object":
    case "record":
      return say(`must be a map, got ${got}`, mapFix(path, node, schema));
    case "string":
      return say(`must be ${aKind(schema)}, got ${got}`, exampleFix(path, schema));
    default:
      return say(
        `must be ${aKind(schema)}, got ${got}`,
        exampleFix(path, schema),
      );
  }
}

function listFix(node: Node | undefined, path: Path, schema: KeySchema): string {
  if (node?.kind === "scalar") return `write ${path.at(-1)}: [${node.text}]`;
  return exampleFix(path, schema);
}

function mapFix(path: Path, node: Node | undefined, schema: KeySchema): string {
  const key = path.at(-1);
  if (path.length === 1 && key === "processes") {
    return "write each process as an indented key: `processes:`, below it `web:`, below it its keys";
  }
  if (key === "depends_on" && node !== undefined) {
    const ids = node.kind === "list" ? node.items : [node];
    const entries = ids.map((item) => item.kind === "scalar" ? `${item.text}: started` : "…");
    return `write depends_on: { ${entries.join(", ")} }`;
  }
  if (key === "env" && node?.kind === "list") return "write env: { NAME: value }";
  const [needed, ...others] = schema.required ?? [];
  if (needed !== undefined && others.length === 0 && node?.kind === "scalar") {
    const label = /^\d+$/.test(key ?? "") ? "" : `${key}: `;
    return `write ${label}{ ${needed}: ${node.text} }`;
  }
  const keys = Object.keys(schema.properties ?? {}).slice(0, LISTED_KEYS);
  if (schema.example !== undefined || keys.length === 0) return exampleFix(path, schema);
  return `write its keys indented below it: ${keys.join(", ")}`;
}

function exampleFix(path: Path, schema: KeySchema, verb = "write"): string {
  const key = path.at(-1) ?? "";
  const label = /^\d+$/.test(key) ? "" : `${key}: `;
  if (schema.example !== undefined) {
    const sample = String(schema.example);
    return `${verb} e.g. ${label}${sample}`;
  }
  if (verb === "add") return `add ${label}…`;
  return schema.kind === undefined ? "write one value" : `write ${aKind(schema)}`;
}

/** The kind of value a key has, with its article. */
function aKind({ kind = "text" }: KeySchema): string {
  if (/^(?:text|true|host:port|octal)/.test(kind)) return kind;
  return /^[aeio]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

/** `a, b or c`. */
function listed(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
}
