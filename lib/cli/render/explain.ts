/**
 * An explanation for people: what it is, why, what happened, what it printed.
 *
 * Invariant: pure; what a program printed or a file said cannot move the cursor.
 */

import type { Explanation, Subject } from "../../control/operations.ts";
import { Exit } from "../../core/failure.ts";
import { failureText } from "./failure.ts";
import { harmless, type Paint, type Style } from "./paint.ts";

const STYLES: Record<string, Style> = {
  running: "green",
  ready: "green",
  active: "green",
  working: "cyan",
  failed: "red",
  backoff: "red",
  failing: "red",
};

/** All subjects, one after the other. */
export function explanationText({ subjects }: Explanation, paint: Paint): string {
  return subjects.map((subject) => subjectText(subject, paint)).join("\n");
}

function subjectText(subject: Subject, paint: Paint): string {
  const { kind, id, release_id, state, because, history, failed_start, output } = subject;
  const of = release_id === null || release_id === id ? "" : ` of ${harmless(release_id)}`;
  const shown = paint(STYLES[state] ?? "yellow", harmless(state));
  const lines = [`${kind} ${paint("bold", harmless(id))}${of}: ${shown}`];
  lines.push(...because.map((sentence) => `  - ${harmless(sentence)}`));
  if (failed_start !== undefined) {
    const { at, error, fix, detail } = failed_start;
    lines.push(paint("dim", `last failed start, ${harmless(at)}:`));
    const failure = failureText({ status: "error", error, fix, detail, exit: Exit.failed }, paint);
    lines.push(...indented(failure.trimEnd().split("\n")));
  }
  if (history.length > 0) {
    lines.push(paint("dim", "what happened:"));
    lines.push(
      ...history.map(({ at, text }) => `  ${paint("dim", harmless(at))} ${harmless(text)}`),
    );
  }
  if (output.length > 0) {
    lines.push(paint("dim", "last output:"));
    lines.push(...output.map(({ at, stream, line }) => {
      const mark = stream === "stderr" ? paint("red", "err") : "out";
      return `  ${paint("dim", harmless(at))} ${mark}  ${harmless(line)}`;
    }));
  }
  return `${lines.join("\n")}\n`;
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
