/**
 * Conditional and partial requests for something that has a validator (RFC 9110, 13 and 14).
 *
 * Invariant: pure; a condition or range that cannot be read is as if it were not there.
 */

import type { RequestHead } from "../../../lib/http/mod.ts";

/** What is being asked for. */
export interface Validators {
  size: number;
  etag?: string;
  /** Milliseconds; whole seconds are compared. */
  modified: number;
}

/** The part to send: `[from, from + length)`. */
export interface Part {
  from: number;
  length: number;
}

/** What to answer: all of it, a part, 304, or 416. */
export type Verdict = "whole" | "unchanged" | "unsatisfiable" | Part;

/** Decides. `method`: GET or HEAD; ranges are for GET only. */
export function judge(method: string, head: RequestHead, file: Validators): Verdict {
  if (isUnchanged(head, file)) return "unchanged";
  const range = head.get("range");
  if (method !== "GET" || range === undefined || !mayRange(head, file)) return "whole";
  return readRange(range, file.size);
}

/** `If-None-Match` decides alone where it is there. */
function isUnchanged(head: RequestHead, { etag, modified }: Validators): boolean {
  const tags = head.get("if-none-match");
  if (tags !== undefined) {
    if (tags.trim() === "*") return true;
    return etag !== undefined && listOf(tags).some((tag) => opaque(tag) === opaque(etag));
  }
  const since = dateOf(head.get("if-modified-since"));
  return since !== undefined && seconds(modified) <= seconds(since);
}

/** `If-Range`: a part of what the client has, or all of what there is now. */
function mayRange(head: RequestHead, { etag, modified }: Validators): boolean {
  const condition = head.get("if-range")?.trim();
  if (condition === undefined) return true;
  if (/^(W\/)?"/.test(condition)) return condition === etag && !etag.startsWith("W/");
  const date = dateOf(condition);
  return date !== undefined && seconds(date) === seconds(modified);
}

/** One range of bytes; several are answered by the whole. */
function readRange(range: string, size: number): Verdict {
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(range);
  if (match === null || match[1] === "" && match[2] === "") return "whole";
  const last = match[2] === "" ? size - 1 : Number(match[2]);
  if (match[1] === "") {
    const length = Math.min(size, last);
    return length === 0 ? "unsatisfiable" : { from: size - length, length };
  }
  const from = Number(match[1]);
  if (match[2] !== "" && last < from) return "whole";
  if (from >= size) return "unsatisfiable";
  return { from, length: Math.min(last, size - 1) - from + 1 };
}

function listOf(text: string): string[] {
  return text.match(/(?:W\/)?"[^"]*"/g) ?? [];
}

/** The part of an entity tag that weak comparison looks at. */
function opaque(tag: string): string {
  return tag.replace(/^W\//, "");
}

function dateOf(text: string | undefined): number | undefined {
  const date = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(date) ? undefined : date;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
