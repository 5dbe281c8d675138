/**
 * Makes JavaScript files of the program: one of what is always needed, and one for each part that it
 * loads when it is wanted.
 *
 * A compiled binary that finds its modules in few files starts faster, and embeds only what is
 * reachable instead of whole packages. What is loaded with `import("…")` stays in a file of its own,
 * which nobody reads, and nothing compiles, until then.
 *
 * Invariants: an error inside the bundle still names our file and line; whatever a `using` of ours
 * closes is still closed in the bundle.
 */

import { basename, join, relative, resolve } from "@std/path";
import { ROOT } from "./project.ts";
import { complaint, run } from "./run.ts";
import { restrict, type SourceMap } from "./source_map.ts";

const MAP_COMMENT = "//# sourceMappingURL=data:application/json;base64,";

/**
 * Minifying renames the `__require` that Deno's own banner defines, and packages in CommonJS form
 * then cannot reach `node:` modules. The bundler's fallback uses a `require` in scope, so we give it
 * one.
 */
const BANNER =
  'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);\n';

/**
 * Bundles `entry` and everything it imports into `directory`, which is made.
 *
 * @returns the files; first that of `entry`, which has its name
 * @throws Error with the bundler's words
 */
export async function bundle(entry: string, directory: string): Promise<string[]> {
  const readable = `${directory}.readable`;
  await Promise.all([
    denoBundle(entry, directory, "--minify", "--sourcemap=inline"),
    denoBundle(entry, readable),
  ]);
  const files = scriptsIn(directory);
  const text = textOf(scriptsIn(readable));
  checkUsing(text, textOf(files));
  checkNames(text);
  Deno.removeSync(readable, { recursive: true });
  for (const file of files) {
    Deno.writeTextFileSync(file, slim(Deno.readTextFileSync(file), directory));
  }
  const first = join(directory, basename(entry).replace(/\.ts$/, ".js"));
  return [first, ...files.filter((file) => file !== first)];
}

function scriptsIn(directory: string): string[] {
  return Array.from(Deno.readDirSync(directory), ({ name }) => join(directory, name)).sort();
}

function textOf(files: readonly string[]): string {
  return files.map((file) => Deno.readTextFileSync(file)).join("\n");
}

async function denoBundle(entry: string, directory: string, ...options: string[]): Promise<void> {
  const { code, stderr } = await run(
    [
      Deno.execPath(),
      ..."bundle --quiet --code-splitting".split(" "),
      ...options,
      `--outdir=${directory}`,
      entry,
    ],
    { cwd: ROOT },
  );
  if (code !== 0) throw new Error(`deno bundle ${entry} failed:\n${complaint(stderr)}`);
}

/**
 * The minifier replaces a variable that is used only in the very next statement by its value, also
 * one declared with `using`, and nothing closes the value then.
 *
 * @throws Error quoting the declarations that got lost
 */
function checkUsing(readable: string, minified: string): void {
  // Those that follow each other become one statement.
  const found = readable.match(/(?:^\s*(?:await )?using \w+ = [^;]*;$\n?)+/gm) ?? [];
  const kept = minified.match(/\busing [\w$]+=/g) ?? [];
  if (found.length === kept.length) return;
  throw new Error(
    `minifying lost ${found.length - kept.length} of these, and what they close with them:\n` +
      `${found.map((line) => line.trim()).join("\n")}\n` +
      "Close what is used only in the next statement by hand.",
  );
}

/**
 * A package in CommonJS form that is loaded with `import("…")` itself becomes a file with nothing but
 * a default, unlike in the source.
 *
 * @throws Error naming such packages
 */
function checkNames(readable: string): void {
  const lost = readable.match(/^export default \w+\(\);$/gm) ?? [];
  if (lost.length === 0) return;
  throw new Error(
    `packages in CommonJS form are loaded with import("…"): ${lost.join(" ")}\n` +
      "Load a file of ours instead that exports what is used of the package by name.",
  );
}

/** The bundle with our banner, its map cut down to files of this repository. */
function slim(text: string, directory: string): string {
  const at = text.lastIndexOf(MAP_COMMENT);
  if (at === -1) throw new Error("deno bundle wrote no source map");
  const inline = text.slice(at + MAP_COMMENT.length).trim();
  const map: SourceMap = JSON.parse(fromBase64(inline));
  const ours = restrict(map, (source) => {
    const path = relative(ROOT, resolve(directory, source));
    return path.startsWith("..") || path.startsWith(".cache") ? undefined : path;
  }, 1);
  return `${BANNER}${text.slice(0, at)}${MAP_COMMENT}${toBase64(JSON.stringify(ours))}\n`;
}

function fromBase64(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
}

function toBase64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}
