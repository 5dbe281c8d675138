/**
 * Lines of output of the processes.
 *
 * Invariant: what a program printed is passed on as it is, colours too; only the time and the name
 * before it are ours.
 */

import type { LogRecord } from "../../control/operations.ts";
import type { Paint, Style } from "./paint.ts";
import { harmless } from "./paint.ts";

const STYLES: readonly Style[] = ["cyan", "green", "yellow"];

/**
 * One record as JSON. A line that is itself a JSON object is embedded as it was printed, not quoted:
 * a number of twenty digits keeps them all.
 */
export function logJson(record: LogRecord): string {
  const { line, cut, ...head } = record;
  if (cut || !isObject(line)) return JSON.stringify(record);
  return `${JSON.stringify(head).slice(0, -1)},"line":${line.trim()}}`;
}

function isObject(line: string): boolean {
  if (!/^\s*\{/.test(line)) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false; // text that begins with a brace
  }
}

/** Columns of the names, at least; grows with the longest seen. */
const NAME_WIDTH = 8;

/** Renders records of one stream: `2030-01-01T12:30:01.250Z web#0 err  message`. */
export function logText(paint: Paint): (record: LogRecord) => string {
  let width = NAME_WIDTH;
  const styles = new Map<string, Style>();
  return ({ at, process, stream, line }) => {
    width = Math.max(width, process.length);
    const style = styles.get(process) ?? STYLES[styles.size % STYLES.length];
    styles.set(process, style);
    const name = paint(style, harmless(process).padEnd(width));
    const mark = stream === "stderr" ? paint("red", "err") : "out";
    return `${paint("dim", at)} ${name} ${mark}  ${line}\n`;
  };
}
