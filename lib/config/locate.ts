/**
 * From a place in the configuration to file, line and column. Loaded only when there is something to
 * complain about: it parses the files again with positions.
 *
 * Invariant: a place that does not exist in the text (a missing key, a default) is shown at its
 * nearest ancestor that does; the result is in the order of files and lines.
 */

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node as YamlNode,
  parseDocument,
} from "yaml";
import {
  type Diagnostic,
  MAX_PROBLEMS,
  OVERRIDE,
  printable,
  type Problem,
  type Spot,
} from "./problem.ts";
import { lineAt } from "./syntax.ts";
import { dotted, nearestNode, type Node, type Path, type Source } from "./tree.ts";

/** A stretch of a text. */
interface Range {
  offset: number;
  length: number;
}

/** Places every problem and sorts: files as they were read, lines, columns; overrides last. */
export function locate(problems: readonly Problem[], root: Node | undefined): Diagnostic[] {
  const texts = new Map<Source, PositionedText>();
  const placed = shown(problems, root).map((problem) => {
    const source = problem.at?.source ?? problem.source ??
      (root === undefined ? undefined : nearestNode(root, problem.path).node.source);
    if (source === undefined) throw new Error("a problem without a source");
    let text = texts.get(source);
    if (text === undefined) texts.set(source, text = new PositionedText(source));
    return { source, diagnostic: text.diagnostic(problem) };
  });
  placed.sort((a, b) =>
    a.source.order - b.source.order || a.diagnostic.line - b.diagnostic.line ||
    a.diagnostic.column - b.diagnostic.column
  );
  return distinct(placed.map(({ diagnostic }) => diagnostic));
}

/** Not more than anybody reads: errors before warnings, and how many were left out. */
function shown(problems: readonly Problem[], root: Node | undefined): readonly Problem[] {
  if (problems.length <= MAX_PROBLEMS) return problems;
  const errors = problems.filter(({ severity }) => severity === "error");
  const kept = (errors.length > 0 ? errors : problems).slice(0, MAX_PROBLEMS);
  const source = kept[0].at?.source ?? kept[0].source ?? root?.source;
  if (source === undefined) return kept;
  const at = { source, offset: 0, length: 0 };
  const message = `there are ${problems.length - kept.length} more problems`;
  return [...kept, {
    severity: kept[0].severity,
    path: [],
    at,
    message,
    fix: "correct these first",
  }];
}

/** The same sentence at the same place is said once. */
function distinct(diagnostics: Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  return diagnostics.filter(({ file, line, column, message, source_line }) => {
    const key = JSON.stringify([file, line, column, message, source_line]);
    return !seen.has(key) && seen.add(key);
  });
}

class PositionedText {
  readonly #lines = new LineCounter();
  #document: Document | undefined;

  constructor(readonly source: Source) {}

  diagnostic(problem: Problem): Diagnostic {
    const { severity, path } = problem;
    // Keys and values of the file may stand in the sentence.
    const base = {
      severity,
      field: printable(dotted(path)),
      message: printable(problem.message),
      fix: printable(problem.fix),
    };
    if (this.source.kind === "override") {
      const name = this.source.name;
      const range = this.#inOverride(problem.spot ?? "value");
      const source_line = `${OVERRIDE} ${name}`;
      const column = range.offset + OVERRIDE.length + 2;
      const width = Math.max(1, range.length);
      return { ...base, file: OVERRIDE, line: 1, column, source_line, width };
    }
    const range = problem.at ?? this.#range(path, problem.spot ?? "value");
    if (range.length === 0) {
      return { ...base, file: this.source.name, line: 0, column: 0, source_line: "", width: 0 };
    }
    const line = lineAt(this.source.text, range.offset);
    const start = range.offset - line.start;
    return {
      ...base,
      file: this.source.name,
      line: this.source.text.slice(0, line.start).split("\n").length,
      column: start + 1,
      source_line: line.text,
      width: Math.max(1, Math.min(range.length, line.text.length - start)),
    };
  }

  #inOverride(spot: Spot): Range {
    const { name } = this.source;
    const equals = name.indexOf("=");
    if (spot === "key" || equals < 0) {
      return { offset: 0, length: equals < 0 ? name.length : equals };
    }
    const value = { offset: equals + 1, length: Math.max(1, name.length - equals - 1) };
    return spot === "value" ? value : within(name, value, spot.text) ?? value;
  }

  #range(path: Path, spot: Spot): Range {
    this.#document ??= parseDocument(this.source.text, {
      lineCounter: this.#lines,
      logLevel: "silent",
      prettyErrors: false,
      uniqueKeys: false,
    });
    const text = this.source.text;
    const found = walk(this.#document, path);
    const value = found.complete ? rangeOf(found.value) : undefined;
    if (value === undefined || spot === "key") return found.key ?? firstLine(text);
    if (spot === "value") return isOneLine(text, value) ? value : found.key ?? value;
    return within(text, value, spot.text) ?? value;
  }
}

/** Follows a path through a document, through aliases and merge keys. */
function walk(
  document: Document,
  path: Path,
): { key?: Range; value?: YamlNode; complete: boolean } {
  let key: Range | undefined;
  let value = document.contents as YamlNode | null | undefined;
  for (const step of path) {
    const next = enter(document, value, step);
    if (next === undefined) return { key, complete: false };
    key = rangeOf(next.key) ?? rangeOf(next.value) ?? key;
    value = next.value;
  }
  return { key, value: value ?? undefined, complete: true };
}

function enter(
  document: Document,
  node: YamlNode | null | undefined,
  step: string,
): { key?: YamlNode; value?: YamlNode | null } | undefined {
  if (isAlias(node)) return enter(document, node.resolve(document) as YamlNode, step);
  if (isSeq(node)) {
    const value = node.items[Number(step)] as YamlNode | undefined;
    return value === undefined ? undefined : { value };
  }
  if (!isMap(node)) return undefined;
  const keyText = (key: unknown) => isScalar(key) ? key.source ?? String(key.value) : String(key);
  // The last of two equal keys is the one that counted.
  const pair = node.items.findLast((item) => keyText(item.key) === step);
  if (pair !== undefined) return { key: pair.key as YamlNode, value: pair.value as YamlNode };
  for (const item of node.items) {
    if (keyText(item.key) !== "<<") continue;
    const targets = isSeq(item.value) ? item.value.items : [item.value];
    for (const target of targets) {
      const found = enter(document, target as YamlNode, step);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function rangeOf(node: YamlNode | null | undefined): Range | undefined {
  const range = node?.range;
  if (!range || range[1] <= range[0]) return undefined;
  return { offset: range[0], length: range[1] - range[0] };
}

function isOneLine(text: string, { offset, length }: Range): boolean {
  return !text.slice(offset, offset + length).trimEnd().includes("\n");
}

function within(text: string, range: Range, part: string): Range | undefined {
  const offset = text.indexOf(part, range.offset);
  if (offset < 0 || offset >= range.offset + range.length || part === "") return undefined;
  return { offset, length: part.length };
}

function firstLine(text: string): Range {
  const offset = Math.max(0, text.search(/^[^\s#-]/m));
  return { offset, length: Math.max(1, lineAt(text, offset).text.length) };
}
