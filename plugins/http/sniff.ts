/**
 * The type of a body whose worker names none: what RoadRunner's users get, by the first bytes, as the
 * WHATWG's sniffing standard has them.
 *
 * Invariant: pure; only the first 512 bytes count; never a type that makes a browser run what is no
 * HTML.
 */

const MOST = 512;
const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";
const BINARY = "application/octet-stream";

const TAGS = [
  "<!DOCTYPE HTML",
  "<HTML",
  "<HEAD",
  "<SCRIPT",
  "<IFRAME",
  "<H1",
  "<DIV",
  "<FONT",
  "<TABLE",
  "<A",
  "<STYLE",
  "<TITLE",
  "<B",
  "<BODY",
  "<BR",
  "<P",
  "<!--",
];

const SIGNATURES: [start: string, type: string][] = [
  ["%PDF-", "application/pdf"],
  ["%!PS-Adobe-", "application/postscript"],
  ["\x89PNG\r\n\x1a\n", "image/png"],
  ["\xff\xd8\xff", "image/jpeg"],
  ["GIF87a", "image/gif"],
  ["GIF89a", "image/gif"],
  ["\x1f\x8b\x08", "application/x-gzip"],
  ["PK\x03\x04", "application/zip"],
  ["\xef\xbb\xbf", TEXT],
  ["\xfe\xff", "text/plain; charset=utf-16be"],
  ["\xff\xfe", "text/plain; charset=utf-16le"],
];

/** The Content-Type of a body that begins with `bytes`. */
export function sniff(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, MOST));
  const visible = start.replace(/^[\t\n\f\r ]+/, "");
  if (TAGS.some((tag) => isTag(visible, tag))) return HTML;
  if (visible.startsWith("<?xml")) return "text/xml; charset=utf-8";
  const known = SIGNATURES.find(([signature]) => start.startsWith(signature));
  if (known !== undefined) return known[1];
  if (start.startsWith("RIFF") && start.slice(8, 14) === "WEBPVP") return "image/webp";
  // deno-lint-ignore no-control-regex -- these are the bytes that no text has
  return /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(start) ? BINARY : TEXT;
}

function isTag(text: string, tag: string): boolean {
  if (text.slice(0, tag.length).toUpperCase() !== tag) return false;
  return tag === "<!--" || / |>/.test(text.charAt(tag.length));
}
