/**
 * `{{name}}` templates in commands, working directories, environment values and health paths.
 *
 * Invariant: a variable without a value never renders as an empty string; it is reported with its
 * name. Only own, flat names are looked up: nothing inherited, no walking of objects.
 */

const PLACEHOLDER = /\{\{\s*([A-Za-z0-9_.\-]+)\s*\}\}/g;

/** Values by full dotted name (`release_path`, `ports.web`, `env.HOME`). */
export type TemplateValues = ReadonlyMap<string, string>;

/** The rendered text, or the names that have no value. */
export type Rendered = { text: string; missing?: undefined } | { missing: string[] };

/** Replaces every placeholder of `text`. */
export function render(text: string, values: TemplateValues): Rendered {
  const missing = new Set<string>();
  const out = text.replace(PLACEHOLDER, (_, name: string) => {
    const value = values.get(name);
    if (value === undefined) missing.add(name);
    return value ?? "";
  });
  return missing.size > 0 ? { missing: [...missing] } : { text: out };
}

/** The names used in `text`, without repeats. */
export function placeholders(text: string): string[] {
  return [...new Set([...text.matchAll(PLACEHOLDER)].map((match) => match[1]))];
}
