/**
 * Markdown as `deno fmt` leaves it, and the generated part of a page.
 *
 * Invariant: pure; what stands outside of the marks of a part is never changed.
 */

/** Width of a paragraph, as the formatter has it. */
const LINE_WIDTH = 100;

/** A table whose columns are aligned as the formatter wants them. */
export function table(heads: string[], rows: string[][]): string {
  const all = [heads, ...rows.map((row) => row.map(escaped))];
  const widths = heads.map((_, i) => Math.max(...all.map((cells) => cells[i].length)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const [first, ...others] = all;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(first), rule, ...others.map(line)].join("\n");
}

/** A text that no cell of a table ends early. */
export function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** A paragraph with line breaks where the formatter would put them. */
export function wrapped(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

/** A fenced block. */
export function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

/** The marks around the generated part of that name. */
export function marks(name: string): { begin: string; end: string } {
  return { begin: `<!-- ${name}: made by scripts/schema.ts -->`, end: `<!-- end of ${name} -->` };
}

/**
 * The page with the generated part in its place.
 *
 * @throws Error when the marks are not there, once and in order
 */
export function withPart(page: string, file: string, name: string, part: string): string {
  const { begin, end } = marks(name);
  const [before, ...behindBegin] = page.split(begin);
  const [, ...after] = behindBegin.join(begin).split(end);
  if (behindBegin.length !== 1 || after.length !== 1) {
    throw new Error(`${file} has lost "${begin}" or "${end}", or has one of them twice`);
  }
  return `${before}${begin}\n\n${part}\n\n${end}${after[0]}`;
}
