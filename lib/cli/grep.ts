/**
 * `--grep`: plain text, which the daemon looks for, or a /pattern/, which is tried here: a bad pattern
 * may take for ever, and that must not be the daemon's time.
 *
 * Invariant: at most SEARCHED lines are looked through for a pattern, unless a time says from where.
 */

import { Exit, Failure, messageOf } from "../core/failure.ts";

/** Lines that a pattern is looked for in when no time is given; what the daemon answers at most. */
export const SEARCHED = 10_000;

/** What to look for: a text, or a pattern. */
export type Wanted = { text: string } | { pattern: RegExp };

/** A pattern and letters that are flags in some language; what follows a path's last `/` rarely is. */
const PATTERN = /^\/(.+)\/([dgimsuvy]{0,4})$/s;

/** Flags that mean something for single lines. */
const FLAGS = /^[imsu]*$/;

/** @throws Failure when the pattern is none */
export function wantedOf(written: string): Wanted {
  const [, source, flags] = PATTERN.exec(written) ?? [];
  if (source === undefined) return { text: written };
  try {
    if (!FLAGS.test(flags)) throw new Error(`its flags may be i, m, s and u, not "${flags}"`);
    return { pattern: new RegExp(source, flags) };
  } catch (error) {
    throw new Failure(`--grep "${written}" is no pattern: ${messageOf(error)}`, {
      exit: Exit.usage,
      fix: "write --grep TEXT, or --grep '/PATTERN/i' with a JavaScript regular expression",
      cause: error,
    });
  }
}

/** Those of a source that match; with `last` only so many, the newest, when the source has ended. */
export async function* matching<T>(
  source: AsyncIterable<T>,
  matches: (item: T) => boolean,
  last: number | undefined,
): AsyncGenerator<T> {
  const kept: T[] = [];
  for await (const item of source) {
    if (!matches(item)) continue;
    if (last === undefined) yield item;
    else if (kept.push(item) > last) kept.shift();
  }
  yield* kept;
}
