/**
 * Why a text is not YAML, in our words. Loaded only when a text was refused (or looks as if it should
 * be): it asks the second parser, `yaml`, which says where and what kind of mistake.
 *
 * Invariant: for every text that was refused there is at least one problem with a place.
 */

import { isCollection, isPair, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { messageOf } from "../core/failure.ts";
import type { Problem } from "./problem.ts";
import type { Source } from "./tree.ts";

/** What is wrong with a text: what stops reading it, and keys that are written twice. */
export interface SyntaxProblems {
  fatal: Problem[];
  duplicates: Problem[];
}

type Document = ReturnType<typeof parseDocument>;
type ParseError = Document["errors"][number];

/** Names the mistakes in `source`. `thrown`: what the first parser said, if it refused the text. */
export function syntaxProblems(source: Source, thrown?: unknown): SyntaxProblems {
  const found: SyntaxProblems = { fatal: [], duplicates: [] };
  if (thrown instanceof RangeError) {
    const fix = "write it flatter";
    return { ...found, fatal: [at(source, 0, 1, "the document is nested too deeply", fix)] };
  }
  const document = parseDocument(source.text, {
    prettyErrors: false,
    // Not "silent": then a second document would be no error.
    logLevel: "error",
    // Its own search for equal keys compares all pairs.
    uniqueKeys: false,
  });
  for (const mistake of document.errors) {
    if (found.fatal.length === 0) found.fatal.push(explain(source, mistake, document));
  }
  found.duplicates.push(...duplicates(source, document));
  if (found.fatal.length === 0) found.fatal.push(...oddities(source, document));
  const unexplained = found.fatal.length === 0 && found.duplicates.length === 0;
  if (unexplained && thrown !== undefined) found.fatal.push(asThrown(source, messageOf(thrown)));
  return found;
}

function at(
  source: Source,
  offset: number,
  length: number,
  message: string,
  fix: string,
): Problem {
  return { severity: "error", path: [], at: { source, offset, length }, message, fix };
}

/** Keys that stand in their map already. */
function duplicates(source: Source, document: Document): Problem[] {
  const found: Problem[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key) || !key.range) continue;
        const name = key.source ?? String(key.value);
        if (seen.has(name)) {
          const [start, end] = key.range;
          const told = `the key "${name}" is written twice`;
          found.push(at(source, start, end - start, told, "remove one of them"));
        }
        seen.add(name);
      }
    },
  });
  return found;
}

/** Characters of a line that are searched for what was meant: the search is quadratic. */
const MAX_SEARCHED = 1000;

const QUOTES_FIX = "put the whole value in quotes";

function explain(source: Source, mistake: ParseError, document: Document): Problem {
  const offset = Math.min(mistake.pos[0], source.text.length);
  const line = lineAt(source.text, offset);
  const say = (message: string, fix: string, from = offset, length = 1) =>
    at(source, from, length, message, fix);

  const braces = /(?:^|[:[{,-]\s+)(\{\{|[^\s"'#][^"'#]*?[:[{,]\s*\$\{)/.exec(
    line.text.slice(0, MAX_SEARCHED),
  );
  if (braces !== null) {
    const found = braces[1].startsWith("{{") ? "{{" : "${";
    const column = line.text.indexOf(found, braces.index);
    const where = found === "{{" ? "a value that begins with {{" : "a value inside {…} or […]";
    const what = found === "{{" ? "must be in quotes" : "that uses ${…} must be in quotes";
    return say(`${where} ${what}`, QUOTES_FIX, line.start + column, 2);
  }
  switch (mistake.code) {
    case "TAB_AS_INDENT":
      return say("a tab is used for indentation, YAML allows only spaces", "use spaces");
    case "MULTIPLE_DOCS":
      return say(
        "the file holds a second document",
        "remove the line --- and what follows it",
        offset,
        3,
      );
    case "BLOCK_AS_IMPLICIT_KEY":
      return say('there is a second ": " in this value', QUOTES_FIX, offset, line.end - offset);
    case "BAD_SCALAR_START":
      return say(`a value cannot begin with ${source.text[offset]}`, QUOTES_FIX);
    case "BAD_INDENT": {
      const open = unclosed(source, mistake.message, document, offset);
      if (open !== undefined) return open;
      const fix = "begin the line in the column of its neighbours";
      return say("the indentation fits no line above", fix, line.first, line.end - line.first);
    }
    case "BAD_DQ_ESCAPE":
      return say(
        "this backslash sequence is unknown in double quotes",
        "use single quotes, or write \\\\ for a backslash",
        offset,
        2,
      );
    case "MISSING_CHAR":
      if (/quote/.test(mistake.message)) {
        const from = quoteStart(document, offset);
        return say("this quote is never closed", "add the closing quote", from ?? offset);
      }
  }
  if (/[Ii]mplicit (?:map )?keys?/.test(mistake.message)) {
    const words = source.text.slice(line.first, line.end);
    const fix = /^[\w.-]+$/.test(words) ? `add a colon: ${words}:` : 'write it as "key: value"';
    return say('this is not of the form "key: value"', fix, line.first, words.length);
  }
  const message = mistake.message.replace(/^./, (first) => first.toLowerCase());
  return say(`this is not valid YAML: ${message}`, "check quotes, brackets and indentation here");
}

/** A list or map in brackets that is still open where its line, or the file, ends. */
function unclosed(
  source: Source,
  message: string,
  document: Document,
  end: number,
): Problem | undefined {
  const bracket = /end with an? ([\]}])/.exec(message)?.[1];
  if (bracket === undefined) return undefined;
  let start = -1;
  visit(document, {
    Collection(_, node) {
      const [from, to] = node.range ?? [-1, -1];
      const opens = source.text[from] === (bracket === "]" ? "[" : "{");
      if (node.flow && opens && to >= end - 1 && source.text[to - 1] !== bracket) start = from;
    },
  });
  const what = bracket === "]" ? "list" : "map";
  const told = `this ${what} is never closed`;
  return start < 0 ? undefined : at(source, start, 1, told, `add the closing ${bracket}`);
}

/** Where the quoted text begins that was still open at the end. */
function quoteStart(document: Document, end: number): number | undefined {
  let start: number | undefined;
  visit(document, {
    Scalar(_, node) {
      if (!node.type?.startsWith("QUOTE") || !node.range) return;
      if (node.range[1] >= end - 1) start ??= node.range[0];
    },
  });
  return start;
}

/** What the second parser takes and we do not. */
function oddities(source: Source, document: Document): Problem[] {
  const found: Problem[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined || found.length > 0) return;
      const { source: name, range } = alias;
      const message = `there is no anchor &${name} above this alias`;
      const fix = `write &${name} before the value that is meant`;
      found.push(at(source, range?.[0] ?? 0, name.length + 1, message, fix));
    },
    Pair(_, pair) {
      // `{{x}}` without quotes is a map in a map to YAML: valid, and never what was meant.
      if (!isPair(pair) || !isCollection(pair.key) || found.length > 0) return;
      const offset = pair.key.range?.[0] ?? 0;
      const template = source.text.startsWith("{{", offset - 1);
      found.push(
        template
          ? at(source, offset - 1, 2, "a value that begins with {{ must be in quotes", QUOTES_FIX)
          : at(source, offset, 1, "a key must be one word, not a list or map", "write a plain key"),
      );
    },
    Scalar(key, node) {
      // `? x` and an empty key are read differently by different parsers.
      if (key !== "key" || !isScalar(node) || node.value !== null || found.length > 0) return;
      if (node.source) return;
      const offset = node.range?.[0] ?? 0;
      found.push(at(source, offset, 1, "a key is missing before this colon", "write a key"));
    },
  });
  return found;
}

/** The first parser's own words, with its place. */
function asThrown(source: Source, message: string): Problem {
  const place = /^(.*?) at line (\d+), column (\d+)/.exec(message);
  const text = (place?.[1] ?? message.split("\n")[0]).replace(/^Cannot [^:]+: /, "");
  const lines = new LineCounter();
  parseDocument(source.text, { lineCounter: lines, logLevel: "silent" });
  const start = place === null ? 0 : lines.lineStarts[Number(place[2]) - 1] ?? 0;
  const end = lineAt(source.text, start);
  const tag = end.text.search(/!\S/);
  if (/\btag\b/.test(text) && tag >= 0) {
    const length = /^\S+/.exec(end.text.slice(tag))![0].length;
    return at(source, start + tag, length, "YAML tags are not supported", "remove the tag");
  }
  const offset = start + (place === null ? 0 : Number(place[3]) - 1);
  return at(
    source,
    Math.min(offset, source.text.length),
    1,
    `this is not valid YAML: ${text}`,
    "check quotes, brackets and indentation here",
  );
}

/** A line of a text. Offsets; `first`: of its first character that is no white space. */
export interface Line {
  start: number;
  first: number;
  end: number;
  text: string;
}

/** The line that holds `offset`. */
export function lineAt(source: string, offset: number): Line {
  const start = offset === 0 ? 0 : source.lastIndexOf("\n", offset - 1) + 1;
  const next = source.indexOf("\n", offset);
  const text = source.slice(start, next < 0 ? undefined : next).replace(/\r$/, "");
  const first = start + text.length - text.trimStart().length;
  return { start, first, end: start + text.trimEnd().length, text };
}
