/**
 * Names of releases.
 *
 * Invariant: a name that anybody chose is a plain word, because it is printed in tables and typed in
 * commands.
 */

import { stamp } from "../core/clock.ts";
import { Exit, Failure } from "../core/failure.ts";

/** Longest name that can be chosen; what makes it unique (`~2`) comes on top. */
const LONGEST = 200;

const USABLE = /^[A-Za-z0-9][A-Za-z0-9._~+-]*$/;

/** @throws Failure when the name cannot be used; `field` is where it stands */
export function checkReleaseId(id: string, field = "release_id"): void {
  if (id.length <= LONGEST && USABLE.test(id)) return;
  throw new Failure(`${field} "${id}" is not usable as a name`, {
    exit: Exit.usage,
    fix: `use letters, digits and . _ - + ~, beginning with a letter or digit, ${LONGEST} at most`,
  });
}

/**
 * The name of a release that was given none: its revision's, as far as that is a name, else the time
 * (`20261121014830123`: UTC, to the millisecond).
 */
export function releaseIdFor(revision: string | undefined, wall: number): string {
  const name = (revision ?? "").replace(/[^A-Za-z0-9._~+-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "").slice(0, LONGEST);
  return name === "" ? stamp(wall).replace(/\D/g, "") : name;
}
