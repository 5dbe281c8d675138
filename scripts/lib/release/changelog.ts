/**
 * The part of the changelog that speaks of one version.
 *
 * Invariant: pure; a section is what stands between its heading and the next of the same level.
 */

/** Text of the section `## VERSION` or `## VERSION – DATE`, trimmed; undefined: there is none. */
export function changelogSection(changelog: string, version: string): string | undefined {
  const lines = changelog.split("\n");
  const begin = lines.findIndex((line) => /^## /.test(line) && line.split(/\s+/)[1] === version);
  if (begin < 0) return undefined;
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => /^## /.test(line));
  return rest.slice(0, end < 0 ? rest.length : end).join("\n").trim();
}
