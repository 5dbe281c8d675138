/**
 * What stood where a frame should have been, made readable: nearly always a worker that printed something
 * (a PHP warning, "Could not open input file").
 *
 * Invariant: no control character reaches whoever shows it, and never more than a sensible length.
 */

import { FrameBroken } from "./relay.ts";

/** Characters shown. */
const SHOWN = 500;

/** Bytes shown of what is no text. */
const SHOWN_BYTES = 16;

/** The control characters that text has: tab, line end, escape (colours). */
const IN_TEXT: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d, 0x1b]);

// deno-lint-ignore no-control-regex -- colours are control characters
const COLOUR = /\x1b\[[0-9;]*[A-Za-z]|\x1b/g;

/**
 * What is to be said about bytes that are no frame.
 *
 * @param who says what happened to them: `the worker printed to stdout`
 * @param wrong what is wrong with them as a frame
 */
export function noFrame(who: string, wrong: FrameBroken, bytes: Uint8Array): FrameBroken {
  const text = textOf(bytes);
  if (text !== "") return new FrameBroken(`${who}: "${text.replace(/\s+/g, " ")}"`, text);
  const hex = Array.from(
    bytes.subarray(0, SHOWN_BYTES),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return new FrameBroken(`${wrong.message} (it begins with ${hex.join(" ")})`);
}

/** The text that bytes begin with, up to what is no text (a frame that follows), trimmed and cut. */
export function textOf(bytes: Uint8Array): string {
  let end = 0;
  while (end < bytes.length && (bytes[end] >= 0x20 || IN_TEXT.has(bytes[end]))) end++;
  const text = new TextDecoder().decode(bytes.subarray(0, end)).replace(COLOUR, "")
    .replace(/\p{Cc}/gu, (c) => c === "\n" || c === "\t" ? c : "").trim();
  const unreadable = text.length - text.replaceAll("\ufffd", "").length;
  if (4 * unreadable > text.length) return ""; // bytes that only happen to be no control characters
  return text.length <= SHOWN ? text : text.slice(0, SHOWN).toWellFormed() + "…";
}
