/**
 * The list of plugins. Adding one is a folder and a line here.
 *
 * Invariant: explicit; nothing registers itself by being imported.
 */

import type { CompareSection, SectionSchema } from "../lib/config/mod.ts";
import { coreSections } from "../lib/config/roadrunner/mod.ts";
import { http } from "./http/mod.ts";
import { jobs } from "./jobs/mod.ts";
import type { Plugin } from "./plugin.ts";
import { tcp } from "./tcp/mod.ts";

/** All plugins. Forwarding is not one: the core has it always. */
export const plugins: readonly Plugin[] = [http, tcp, jobs];

/** The configuration's sections besides its own keys: those of the core, then those of plugins. */
export function sections(): Map<string, SectionSchema> {
  return new Map([
    ...coreSections,
    ...plugins.map(({ name, section }): [string, SectionSchema] => [name, section]),
  ]);
}

/** How two values of each section are compared. */
export function comparisons(): Map<string, CompareSection> {
  return new Map(
    [...sections()].flatMap(([name, { compare }]): [string, CompareSection][] =>
      compare === undefined ? [] : [[name, compare]]
    ),
  );
}
