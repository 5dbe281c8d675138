/**
 * Makes one JavaScript file of the program.
 *
 * A compiled binary that finds its modules in one file starts faster, and embeds only what is
 * reachable instead of whole packages.
 *
 * Invariants: an error inside the bundle still names our file and line; whatever a `using` of ours
 * closes is still closed in the bundle.
 */

import { dirname, relative, resolve } from "@std/path";
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
 * Bundles `entry` and everything it imports into `output`.
 *
 * @throws Error with the bundler's words
 */
export async function bundle(entry: string, output: string): Promise<void> {
  const readable = `${output}.readable`;
  await Promise.all([
    denoBundle(entry, output, "--minify", "--sourcemap=inline"),
    denoBundle(entry, readable),
  ]);
  const text = Deno.readTextFileSync(output);
  checkUsing(Deno.readTextFileSync(readable), text);
  Deno.removeSync(readable);
  Deno.writeTextFileSync(output, slim(text, dirname(output)));
}

async function denoBundle(entry: string, output: string, ...options: string[]): Promise<void> {
  const { code, stderr } = await run(
    [Deno.execPath(), "bundle", "--quiet", ...options, `--output=${output}`, entry],
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
