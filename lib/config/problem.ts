/**
 * A complaint about the configuration: first as the checks know it (a place in the tree), then as
 * people see it (file, line, column, the line itself with a caret, a fix).
 *
 * Invariant: a problem always says what to do about it; a diagnostic always names its file.
 */

import type { Path, Source } from "./tree.ts";

/** `error`: the configuration is not used. `warning`: it is, but something deserves a word. */
export type Severity = "error" | "warning";

/** Which part of the place is meant: the key, its value, or this text inside the value. */
export type Spot = "key" | "value" | { text: string };

/** A complaint before it has a line. */
export interface Problem {
  severity: Severity;
  /** Place in the configuration; empty: the file as a whole. */
  path: Path;
  /** Default `value`. */
  spot?: Spot;
  /** The text `path` counts in, when that is not the merged tree. */
  source?: Source;
  /** Exact place in a text, when it is known already; `length` 0: the file as a whole. */
  at?: { source: Source; offset: number; length: number };
  /** What is so, a clause without a full stop. */
  message: string;
  /** What to do, an imperative clause. */
  fix: string;
}

/** A complaint as it is shown; also the shape in `validate --json`. */
export interface Diagnostic {
  severity: Severity;
  /** Path as given, or `-o`. */
  file: string;
  /** From 1; 0: the file as a whole. */
  line: number;
  column: number;
  /** The offending line (an override: its text). */
  source_line: string;
  /** Length of the caret line, in characters. */
  width: number;
  /** Dotted path of the field; empty: none. */
  field: string;
  message: string;
  fix: string;
}

/** An error at a place. */
export function error(path: Path, message: string, fix: string, spot?: Spot): Problem {
  return { severity: "error", path, message, fix, spot };
}

/** A warning at a place. */
export function warning(path: Path, message: string, fix: string, spot?: Spot): Problem {
  return { severity: "warning", path, message, fix, spot };
}

/** Name of the source of overrides in diagnostics. */
export const OVERRIDE = "-o";

/** Problems that are told at once; beyond, correcting these comes first. */
export const MAX_PROBLEMS = 200;

/** Columns of an offending line that are shown; the caret is kept in view. */
const SHOWN_COLUMNS = 160;

/** Diagnostics as text: one block each, separated by blank lines; empty for none. */
export function renderProblems(problems: readonly Diagnostic[]): string {
  return problems.map(renderProblem).join("\n\n");
}

/** Where a diagnostic is, for people: `file:line:column`, the file alone, or `-o`. */
export function placeOf({ file, line, column }: Diagnostic): string {
  return file === OVERRIDE || line === 0 ? file : `${file}:${line}:${column}`;
}

function renderProblem(problem: Diagnostic): string {
  const { severity, message, fix } = problem;
  const place = placeOf(problem);
  const head = `${place}: ${severity}: ${message}`;
  return [head, ...excerpt(problem), `fix: ${fix}`].join("\n");
}

/** The offending line with its caret line, cut to what fits and free of control characters. */
function excerpt({ line, column, source_line, width }: Diagnostic): string[] {
  if (line === 0) return [];
  const start = column - 1;
  const from = start > SHOWN_COLUMNS - 40 ? start - 40 : 0;
  const shown = source_line.slice(from, from + SHOWN_COLUMNS);
  // Tabs stay tabs so that the caret stands under what it means in any terminal.
  const before = shown.slice(0, start - from).replace(/[^\t]/g, " ");
  const carets = "^".repeat(Math.max(1, Math.min(width, shown.length - (start - from))));
  return [`  ${printable(shown)}`, `  ${before}${carets}`];
}

/** A text without line breaks and control characters (tabs stay): what a terminal may be shown. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, "?");
}

/** What `validate --json` prints. */
export interface ProblemsJson {
  valid: boolean;
  errors: number;
  warnings: number;
  problems: Diagnostic[];
}

/** Diagnostics for machines. */
export function problemsJson(problems: readonly Diagnostic[]): ProblemsJson {
  const errors = problems.filter((problem) => problem.severity === "error").length;
  return {
    valid: errors === 0,
    errors,
    warnings: problems.length - errors,
    problems: [...problems],
  };
}
