/**
 * The last lines of each instance, for status and for messages about failed starts.
 *
 * Invariant: bounded in lines, in the length of a line, and in the number of instances that are
 * remembered after their last run. An instance of another release is another one: the last words of
 * a failed new release are never those of the old.
 */

import { Ring } from "../core/ring.ts";
import type { SpoolOwner } from "./spool.ts";
import type { OutputLine } from "./types.ts";

/** Characters of a line that are kept; the log has all of them. */
const MAX_LINE = 4096;
/** Instances that are remembered without a run. */
const MAX_REMEMBERED = 256;

/** The last lines of one instance. */
export class Recent {
  /** Runs that write to it now. */
  runs = 0;
  #ring: Ring<OutputLine>;

  constructor(keep: number) {
    this.#ring = new Ring(keep);
  }

  /** Adds one line. */
  push(line: OutputLine): void {
    if (line.line.length > MAX_LINE) {
      this.#ring.push({ ...line, line: line.line.slice(0, MAX_LINE), cut: true });
    } else this.#ring.push(line);
  }

  /** Oldest first. */
  list(): OutputLine[] {
    return this.#ring.list();
  }

  /** Keeps another number of lines from now on. */
  resize(keep: number): void {
    if (keep === this.#ring.capacity) return;
    const lines = this.#ring.list();
    this.#ring = new Ring(keep);
    for (const line of lines.slice(Math.max(0, lines.length - keep))) this.#ring.push(line);
  }
}

/** The recent lines of all instances. */
export class Recents {
  /** Least recently used first. */
  readonly #known = new Map<string, Recent>();

  /** The recent lines of an instance, which has one more run from now on. */
  use({ instance, release }: SpoolOwner, keep: number): Recent {
    const key = `${instance}\n${release}`;
    const recent = this.#known.get(key) ?? new Recent(keep);
    recent.resize(keep);
    recent.runs++;
    this.#known.delete(key);
    this.#known.set(key, recent);
    this.#forget();
    return recent;
  }

  #forget(): void {
    let excess = this.#known.size - MAX_REMEMBERED;
    for (const [key, { runs }] of this.#known) {
      if (excess <= 0) return;
      if (runs > 0) continue;
      this.#known.delete(key);
      excess--;
    }
  }
}
