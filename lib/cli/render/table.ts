/**
 * Tables of plain columns.
 *
 * Invariant: columns are as wide as their widest cell as seen, colours not counted; no line ends in
 * spaces; a cell never breaks the line.
 */

import { harmless, type Paint, type Style } from "./paint.ts";

/** A cell: text, or text with a style, or nothing to say. */
export type Cell = string | { text: string; style: Style } | undefined;

/** Stands for a cell with nothing to say. */
const NOTHING = "-";

const GAP = "  ";

/**
 * Renders rows below headings. A column in which no row says anything is left out.
 *
 * @param headings their number is the number of columns; `>` before one: aligned to the right
 */
export function table(headings: readonly string[], rows: readonly Cell[][], paint: Paint): string {
  const used = headings.map((_, column) => rows.some((row) => !isEmpty(row[column])));
  const right = headings.map((heading) => heading.startsWith(">"));
  const names = headings.map((heading) => heading.replace(/^>/, ""));
  const cells = rows.map((row) => names.map((_, column) => shown(row[column])));
  const widths = names.map((name, column) =>
    Math.max(width(name), ...cells.map((row) => width(row[column].text)))
  );
  const line = (texts: { text: string; style?: Style }[]) => {
    const parts = texts.flatMap(({ text, style }, column) => {
      if (!used[column]) return [];
      const gap = " ".repeat(widths[column] - width(text));
      const painted = style === undefined ? text : paint(style, text);
      return [right[column] ? gap + painted : painted + gap];
    });
    return parts.join(GAP).trimEnd();
  };
  const head = line(names.map((text) => ({ text, style: "dim" as const })));
  return `${[head, ...cells.map(line)].join("\n")}\n`;
}

function isEmpty(cell: Cell): boolean {
  return cell === undefined || cell === "";
}

function shown(cell: Cell): { text: string; style?: Style } {
  if (cell === undefined || cell === "") return { text: NOTHING };
  if (typeof cell === "string") return { text: harmless(cell) };
  return { text: harmless(cell.text), style: cell.style };
}

/** Columns a text takes: one for each character (wide scripts are not told apart). */
function width(text: string): number {
  return [...text].length;
}
