/**
 * The payload of a job for people: JSON as JSON, text as text, anything else as a hexdump.
 *
 * Invariant: pure; a payload of strangers never moves the cursor, and what is not shown is told.
 */

import type { Letter } from "../../control/jobs.ts";
import { count } from "./amount.ts";
import { harmless } from "./paint.ts";

/** Control characters that no text has. */
// deno-lint-ignore no-control-regex
const BINARY = /[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]/;

/** Bytes of a line of a hexdump. */
const WIDTH = 16;

/** Lines of a payload. */
export function payloadText(letter: Letter): string[] {
  const { payload, payload_base64, payload_bytes, payload_cut } = letter;
  const bytes = payload === undefined
    ? Uint8Array.fromBase64(payload_base64 ?? "")
    : new TextEncoder().encode(payload);
  const lines = payload === undefined || BINARY.test(payload)
    ? hexdump(bytes)
    : textLines(payload, payload_cut);
  if (payload_cut) lines.push(`… ${count(payload_bytes - bytes.length, "byte")} more, see --bytes`);
  return lines;
}

function textLines(text: string, cut: boolean): string[] {
  if (text === "") return [];
  return (cut ? text : asJson(text)).replace(/\n$/, "").split(/\r?\n/).map(harmless);
}

/** A JSON object or list over several lines, every value as it was written; any other text as it is. */
function asJson(text: string): string {
  if (!/^\s*[[{]/.test(text) || !isJson(text)) return text;
  let shown = "";
  let depth = 0;
  const newLine = () => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    if (token === "{" || token === "[") {
      depth++;
      shown += token + newLine();
    } else if (token === "}" || token === "]") {
      depth--;
      shown = shown.trimEnd() + (/[[{]$/.test(shown.trimEnd()) ? "" : newLine()) + token;
    } else if (token === ",") shown += token + newLine();
    else shown += token === ":" ? ": " : token;
  }
  return shown;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** `00000010  68 69 …  |hi…|` */
function hexdump(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += WIDTH) {
    const row = bytes.subarray(at, at + WIDTH);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = [...row].map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."
    ).join("");
    const place = at.toString(16).padStart(8, "0");
    lines.push(`${place}  ${hex.padEnd(WIDTH * 3 - 1)}  |${text}|`);
  }
  return lines;
}
