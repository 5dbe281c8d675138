/**
 * The list of plugins. Adding one is a folder and a line here.
 *
 * Invariant: explicit; nothing registers itself by being imported.
 */

import type { SectionSchema } from "../lib/config/mod.ts";
import type { Plugin } from "./plugin.ts";

/** All plugins. Forwarding is not one: the core has it always. */
export const plugins: readonly Plugin[] = [];

/** The configuration sections that plugins read, by name. */
export function sections(): Map<string, SectionSchema> {
  return new Map(plugins.map((plugin) => [plugin.name, plugin.section]));
}
