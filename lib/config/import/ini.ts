/**
 * The dialect of INI that supervisord reads: sections, `key = value` or `key: value`, values that go on
 * in indented lines, comments by `;` or `#` at the beginning of a line and after a blank within one.
 *
 * Invariant: every line is in a section, or is reported with its number.
 */

/** One `key = value`. */
export interface Entry {
  key: string;
  value: string;
  line: number;
}

/** One `[name]`. */
export interface Section {
  name: string;
  line: number;
  entries: Entry[];
}

/** Sections in order, and lines that mean nothing. */
export interface Ini {
  sections: Section[];
  strange: { line: number; text: string }[];
}

export function parseIni(text: string): Ini {
  const sections: Section[] = [];
  const strange: Ini["strange"] = [];
  let last: Entry | undefined;
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split(/\r?\n/).entries()) {
    const line = index + 1;
    if (/^\s*$/.test(raw) || /^[;#]/.test(raw)) continue;
    const content = raw.replace(/\s[;#].*$/, "").trimEnd();
    if (content.trim() === "") continue;
    const section = sections.at(-1);
    if (/^\s/.test(content) && last !== undefined) {
      last.value = last.value === "" ? content.trim() : `${last.value}\n${content.trim()}`;
      continue;
    }
    const heading = /^\[([^\]]+)\]$/.exec(content.trim());
    if (heading !== null) {
      sections.push({ name: heading[1].trim(), line, entries: [] });
      last = undefined;
      continue;
    }
    const pair = /^\s*([^=:\s][^=:]*?)\s*[=:]\s*(.*)$/.exec(content);
    if (pair === null || section === undefined) {
      strange.push({ line, text: content.trim() });
      last = undefined;
      continue;
    }
    last = { key: pair[1].toLowerCase(), value: pair[2], line };
    section.entries.push(last);
  }
  return { sections, strange };
}
