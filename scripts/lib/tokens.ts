/**
 * Cuts TypeScript into tokens: enough to see names, strings and imports, and never to mistake what
 * stands in a comment, a string or a regular expression for code.
 *
 * Invariant: the tokens of a file that compiles are found without a parser, in one pass; line
 * numbers count from 1.
 */

/** A piece of a source file. */
export interface Token {
  kind: "name" | "string" | "template" | "regex" | "number" | "mark";
  /** Strings and templates without their quotes, escapes as written. */
  text: string;
  line: number;
}

const NAME = /[A-Za-z_$][\w$]*/y;
const NUMBER = /(?:0[xXoObB][\da-fA-F_]+|[\d][\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|\.\d[\d_]*)n?/y;
const STRING = /"((?:[^"\\\n]|\\[^])*)"|'((?:[^'\\\n]|\\[^])*)'/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const MARK = /\?\?=|&&=|\|\|=|\.\.\.|=>|\?\.(?!\d)|[^\s]/y;

/** After these words a slash begins a regular expression; after other names it divides. */
const BEFORE_VALUE = new Set(
  ("return typeof instanceof in of new delete void throw case do else await yield").split(" "),
);

/** The tokens of `source`, comments left out. */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  /** For each open `${`: the depth of braces to come back to. */
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  let line = 1;

  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  const advance = (count: number) => {
    for (let i = at; i < at + count; i++) if (source.charCodeAt(i) === 10) line++;
    at += count;
  };
  const push = (kind: Token["kind"], text: string, length = text.length) => {
    found.push({ kind, text, line });
    advance(length);
  };
  /** From behind a backquote or a `}` to the next `${` or the closing backquote. */
  const template = () => {
    let end = at;
    while (end < source.length && source[end] !== "`" && !source.startsWith("${", end)) {
      end += source[end] === "\\" ? 2 : 1;
    }
    push("template", source.slice(at, end));
    if (source[at] === "`") return advance(1);
    advance(2);
    templates.push(depth++);
  };

  while (at < source.length) {
    const white = /\s+/y;
    const space = match(white) ?? match(COMMENT);
    if (space !== null) {
      advance(space[0].length);
      continue;
    }
    const string = match(STRING);
    if (string !== null) {
      push("string", string[1] ?? string[2], string[0].length);
      continue;
    }
    if (source[at] === "`") {
      advance(1);
      template();
      continue;
    }
    const name = match(NAME);
    if (name !== null) {
      push("name", name[0]);
      continue;
    }
    const number = match(NUMBER);
    if (number !== null) {
      push("number", number[0]);
      continue;
    }
    const regex = beginsValue(found.at(-1)) ? match(REGEX) : null;
    if (regex !== null) {
      push("regex", regex[0]);
      continue;
    }
    if (source[at] === "}" && templates.at(-1) === depth - 1) {
      depth = templates.pop()!;
      advance(1);
      template();
      continue;
    }
    if (source[at] === "{") depth++;
    if (source[at] === "}") depth--;
    push("mark", match(MARK)![0]);
  }
  return found;
}

/** Whether what follows `last` is a value, so that a slash opens a regular expression. */
function beginsValue(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === "name") return BEFORE_VALUE.has(last.text);
  return last.kind === "mark" && ![")", "]", "}"].includes(last.text);
}

/** One import (or re-export) of a module. */
export interface Import {
  specifier: string;
  line: number;
  /** Nothing of it is left at run time. */
  typeOnly: boolean;
}

/** What a file imports, re-exports, or loads with `import("…")`. */
export function importsOf(found: Token[]): Import[] {
  const imports: Import[] = [];
  for (let i = 0; i < found.length; i++) {
    const { kind, text, line } = found[i];
    if (kind !== "name" || (text !== "import" && text !== "export")) continue;
    if (found[i - 1]?.text === ".") continue;
    if (found[i + 1]?.text === "(") {
      if (found[i + 2]?.kind === "string") {
        // `import("…")` may also stand in a type; then it is followed by a member, not awaited.
        imports.push({ specifier: found[i + 2].text, line, typeOnly: false });
      }
      continue;
    }
    const source = moduleOf(found, i + 1);
    if (source === undefined) continue;
    imports.push({
      specifier: found[source].text,
      line,
      typeOnly: isTypeOnly(found.slice(i + 1, source)),
    });
  }
  return imports;
}

/** Index of the module name of the statement that goes on at `at`. */
function moduleOf(found: Token[], at: number): number | undefined {
  if (found[at]?.kind === "string") return at;
  for (let i = at; i < found.length; i++) {
    const { kind, text } = found[i];
    if (kind === "name" && text === "from" && found[i + 1]?.kind === "string") return i + 1;
    const inClause = kind === "name" || ["{", "}", ",", "*"].includes(text);
    if (!inClause) return undefined;
  }
  return undefined;
}

/** `type {…}`, or braces in which every name is marked `type`. */
function isTypeOnly(clause: Token[]): boolean {
  if (clause[0]?.text === "type" && clause[1]?.text !== "from") return true;
  if (clause[0]?.text !== "{") return false;
  const inner = clause.slice(1, clause.findIndex((token) => token.text === "}"));
  const names = inner.map((token) => token.text).join(" ").split(",").filter((n) =>
    n.trim() !== ""
  );
  return names.length > 0 && names.every((name) => /^\s*type \S/.test(name));
}
