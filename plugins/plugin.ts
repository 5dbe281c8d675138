/**
 * What a plugin is: the recipe for an intake.
 *
 * Invariant: a plugin owns nothing and does nothing when it is listed; everything happens in the
 * intake that the daemon asks it to create.
 */

import type { SectionSchema } from "../lib/config/mod.ts";

/** A recipe. `name` is the section of the configuration it reads. */
export interface Plugin {
  readonly name: string;
  readonly section: SectionSchema;
}
