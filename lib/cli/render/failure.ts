/**
 * A failure for people: the sentence, the facts that explain it, the one thing to do.
 *
 * Invariant: never a stack trace; what a program printed stands as it was, line by line, but cannot
 * move the cursor.
 */

import type { FailureJson } from "../../core/failure.ts";
import { harmless, type Paint } from "./paint.ts";
import { took } from "./amount.ts";

/** Facts shown one a line, in this order, and their names. */
const FACTS: readonly [key: string, name: string][] = [
  ["argv", "command"],
  ["command", "command"],
  ["cwd", "directory"],
  ["user", "user"],
  ["env_keys", "environment"],
  ["exit_code", "exit code"],
  ["exit_signal", "signal"],
  ["elapsed_ms", "ran for"],
];

/** Facts that are output of a program. */
const OUTPUTS: readonly [key: string, name: string][] = [
  ["stderr", "last stderr"],
  ["stdout", "last stdout"],
  ["logs", "last output"],
  ["last_output", "last output"],
];

/** `error: …`, facts, `fix: …`. */
export function failureText(failure: FailureJson, paint: Paint): string {
  const detail = failure.detail ?? {};
  const lines = [headline(failure.error, paint)];
  for (const [key, name] of FACTS) {
    const text = factText(key, detail[key]);
    if (text !== undefined) lines.push(`  ${paint("dim", `${name}:`)} ${text}`);
  }
  for (const [key, name] of OUTPUTS) {
    const output = linesOf(detail[key]);
    if (output.length === 0) continue;
    lines.push(`  ${paint("dim", `${name}:`)}`, ...output.map((line) => `    ${harmless(line)}`));
  }
  if (failure.fix !== undefined) {
    // A diagnostic has brought a fix of its own.
    const label = DIAGNOSTIC.test(failure.error) ? "or:" : "fix:";
    lines.push(`${paint("cyan", label)} ${sentence(failure.fix)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** What a diagnostic of the configuration begins with: it says "error" itself. */
const DIAGNOSTIC = /^[^\n]+: (error|warning): /;

function headline(error: string, paint: Paint): string {
  const text = sentence(error);
  return DIAGNOSTIC.test(error) ? text : `${paint("red", "error:")} ${text}`;
}

/** A message may have several lines (diagnostics of a configuration); each is made harmless. */
function sentence(text: string): string {
  return text.split("\n").map(harmless).join("\n");
}

function factText(key: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (key === "elapsed_ms") return Number(value) < 1000 ? `${value} ms` : took(Number(value));
  if (Array.isArray(value)) return value.map(word).join(" ");
  return harmless(String(value));
}

/** One word of a command, quoted when a shell would need it. */
function word(value: unknown): string {
  const text = harmless(String(value));
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Lines of output: texts, or records with a `line`. */
function linesOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry) =>
    typeof entry === "string" ? entry : String((entry as { line?: unknown })?.line ?? "")
  );
}
