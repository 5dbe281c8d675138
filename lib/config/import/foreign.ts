/**
 * Reading values of another program's configuration, whatever they turn out to be.
 *
 * Invariant: every key is looked at once; what nobody asked for is told by leftover(), so that no
 * line of the old file is lost in silence.
 */

import { Exit, Failure } from "../../core/failure.ts";
import { type Draught, duration, quote, size, type Value } from "./draft.ts";

/** A map of the old file, with the way to it for messages. */
export class Foreign {
  readonly #asked = new Set<string>();

  constructor(
    readonly values: Record<string, unknown>,
    readonly path: string,
    readonly draught: Draught,
    /** Where in the new file its notes stand. */
    public at: readonly string[] = [],
  ) {}

  /** How a key is called in messages. */
  name(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  /** A value as it is; null counts as not there. */
  any(key: string): unknown {
    this.#asked.add(key);
    return this.values[key] ?? undefined;
  }

  text(key: string): string | undefined {
    return this.#typed(key, "a text", (value): value is string => typeof value === "string");
  }

  flag(key: string): boolean | undefined {
    return this.#typed(key, "true or false", (value): value is boolean => value === !!value);
  }

  /** A number from 0 up. */
  number(key: string): number | undefined {
    const isNumber = (value: unknown): value is number =>
      typeof value === "number" && Number.isFinite(value) && value >= 0;
    return this.#typed(key, "a number from 0 up", isNumber);
  }

  /** A whole number. */
  count(key: string): number | undefined {
    const isCount = (value: unknown): value is number =>
      Number.isSafeInteger(value) && (value as number) >= 0;
    return this.#typed(key, "a whole number from 0 up", isCount);
  }

  list(key: string): unknown[] | undefined {
    return this.#typed(key, "a list", (value): value is unknown[] => Array.isArray(value));
  }

  /** A map; its notes stand where this one's stand. */
  map(key: string): Foreign | undefined {
    const value = this.#typed(key, "a map", isMap);
    return value && new Foreign(value, this.name(key), this.draught, this.at);
  }

  /** Takes note of a key that is there and has no counterpart. */
  drop(key: string, text: string): void {
    if (this.any(key) !== undefined) this.note(key, text);
  }

  note(key: string, text: string): void {
    this.draught.note(this.at, this.name(key), text);
  }

  /** Takes note of every key that nobody asked for. */
  leftover(why: string): void {
    for (const key of Object.keys(this.values)) {
      if (!this.#asked.has(key)) this.note(key, why);
    }
  }

  #typed<T>(key: string, what: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.any(key);
    if (value === undefined || is(value)) return value;
    this.note(key, `is not ${what}: ${quote(value)}; left out`);
    return undefined;
  }
}

/** A plain map. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** This file is not what it was taken for. */
export function notOf(file: string, what: string, why: string): Failure {
  return new Failure(`cannot import "${file}" as ${what}: ${why}`, {
    exit: Exit.config,
    fix: "name what it is with --from, or check that this is the right file",
  });
}

/** A key in milliseconds as a duration of ours. */
export function time(from: Foreign, key: string): Value {
  const ms = from.number(key);
  return ms === undefined ? undefined : duration(ms);
}

/** A key in bytes as a size of ours. */
export function bytes(from: Foreign, key: string): Value {
  const count = from.count(key);
  return count === undefined ? undefined : size(count);
}
