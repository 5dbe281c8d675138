/**
 * Colours, or none, and text from outside made harmless.
 *
 * Invariant: without colours not one escape sequence is written; text of strangers never moves the
 * cursor or starts a line of its own.
 */

/** Paints a piece of text. */
export type Paint = (style: Style, text: string) => string;

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

const CODES: Record<Style, string> = {
  bold: "1",
  dim: "2",
  red: "31",
  green: "32",
  yellow: "33",
  cyan: "36",
};

/** For files, pipes and NO_COLOR. */
export const plain: Paint = (_, text) => text;

/** For terminals. */
export const colourful: Paint = (style, text) => `\x1b[${CODES[style]}m${text}\x1b[0m`;

/** Control characters, and marks that change the direction of text. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** One line of text from outside, fit for a table or an error. */
export function harmless(text: string): string {
  return text.replaceAll(UNSAFE, (mark) => {
    if (mark === "\t") return " ";
    return `\\x${mark.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
