/**
 * Pages of documentation with generated parts.
 *
 * Invariant: prose is never touched; a page that is missing begins as its generated parts.
 */

import { join } from "@std/path";
import { marks, withPart } from "./markdown.ts";
import { ROOT } from "./project.ts";

/** A page and what is generated in it. */
export interface Page {
  /** Path from the top of the repository. */
  file: string;
  /** First line of a page that does not exist yet; undefined: it must exist. */
  heading?: string;
  /** Generated parts by the name in their marks. */
  parts: Record<string, string>;
}

/**
 * A page as it should be now.
 *
 * @throws Error when it has lost its marks
 */
export function pageNow({ file, heading, parts }: Page): string {
  let text = existing(file) ?? skeleton(heading ?? "", Object.keys(parts));
  for (const [name, part] of Object.entries(parts)) text = withPart(text, file, name, part);
  return text;
}

function existing(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(join(ROOT, file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function skeleton(heading: string, names: string[]): string {
  const parts = names.map((name) => `${marks(name).begin}\n${marks(name).end}`);
  return `${[heading, ...parts].join("\n\n")}\n`;
}
