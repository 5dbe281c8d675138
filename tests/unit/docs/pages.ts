/**
 * The documentation as tests read it: pages, fenced blocks, inline code, headings.
 *
 * Invariant: every page that a reader of the repository finds is among `PAGES`; nothing is listed by
 * hand.
 */

import { join, relative } from "@std/path";
import { filesBelow } from "../../../scripts/lib/project.ts";

/** Top of the repository. */
export const ROOT = new URL("../../../", import.meta.url).pathname;

/** One page of documentation. */
export interface Page {
  /** Path from the top of the repository. */
  name: string;
  text: string;
}

/** A fenced block: what stands behind the fence, and what is inside. */
export interface Block {
  page: string;
  /** Line of the opening fence, from 1. */
  line: number;
  language: string;
  text: string;
}

/** All pages: those at the top and everything below docs. */
export const PAGES: readonly Page[] = [
  ...[...Deno.readDirSync(ROOT)].map(({ name }) => join(ROOT, name)).sort(),
  ...filesBelow(join(ROOT, "docs")),
].filter((path) => path.endsWith(".md"))
  .map((path) => ({ name: relative(ROOT, path), text: Deno.readTextFileSync(path) }));

/** The fenced blocks of a page. */
export function blocksOf({ name, text }: Page): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  text.split("\n").forEach((line, index) => {
    const fence = /^```(\w*)$/.exec(line);
    if (fence !== null && open === undefined) {
      open = { page: name, line: index + 1, language: fence[1], text: "" };
    } else if (fence !== null) {
      blocks.push(open!);
      open = undefined;
    } else if (open !== undefined) {
      open.text += `${line}\n`;
    }
  });
  return blocks;
}

/** A page without its fenced blocks: prose. */
export function proseOf({ text }: Page): string {
  return text.replace(/^```\w*\n[\s\S]*?^```$/gm, "");
}

/** The pieces of inline code of a page, each on one line. */
export function inlineCodeOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/`([^`]+)`/g)].map(([, code]) => code.replace(/\s+/g, " "));
}

/** The anchors that headings of a page get. */
export function anchorsOf(page: Page): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-")
  );
}
