/**
 * The kinds of values a key can have, as schema types. Each takes a description, its default and an
 * example once; JSON Schema, documentation and the fixes in error messages are made from them.
 *
 * Invariant: every refusal is a custom issue whose message is a predicate ("must be …, got …") and
 * whose `params.fix` says what to write.
 */

import * as z from "zod";
import { formatDuration, parseDuration } from "../../core/duration.ts";
import { formatSize, parseSize } from "../../core/size.ts";
import { nearest } from "../../core/suggest.ts";
import { MAX_WAIT } from "../defaults.ts";
import { Refusal } from "../names.ts";

/** What a key carries besides its type. */
export interface KeyFacts {
  /** As written in YAML; undefined: none. */
  default?: string | number | boolean;
  /** Where the default comes from when it is no constant: "the value of proxy.health.path". */
  defaultFrom?: string;
  /** As written in YAML. */
  example?: string | number | boolean;
}

/** The names under which KeyFacts stand in the schema until json_schema.ts takes them out. */
export interface KeyMeta {
  description: string;
  kind: string;
  default_value?: string | number | boolean;
  default_from?: string;
  example?: string | number | boolean;
  /** Why the key does nothing here; only keys that are accepted without effect have it. */
  no_effect?: string;
}

function meta(kind: string, description: string, facts: KeyFacts): Record<string, unknown> {
  const all: KeyMeta = {
    description,
    kind,
    default_value: facts.default,
    default_from: facts.defaultFrom,
    example: facts.example,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Any text but an empty one. */
export function text(description: string, facts: KeyFacts = {}) {
  return z.string().superRefine((value, context) => {
    if (value.trim() === "") refuse(context, new Refusal("must not be empty", example(facts)));
  }).meta(meta("text", description, facts));
}

/** A text in one of our small languages, read by `reader`. */
export function read<T>(
  kind: string,
  reader: (text: string) => T | Refusal,
  description: string,
  facts: KeyFacts = {},
) {
  return z.string().transform((value, context): T => {
    const result = reader(value);
    if (!(result instanceof Refusal)) return result;
    refuse(context, result);
    return z.NEVER;
  }).meta(meta(kind, description, facts));
}

/** A duration; milliseconds afterwards. `min`, `max`: milliseconds. `default`: milliseconds. */
export function duration(
  description: string,
  facts: Omit<KeyFacts, "default"> & { default?: number; min?: number; max?: number } = {},
) {
  const { min = 0, max = MAX_WAIT } = facts;
  const written = facts.default === undefined ? undefined : formatDuration(facts.default);
  return read(
    "duration",
    (value) => {
      const ms = parseDuration(value);
      if (ms === undefined) return noDuration(value);
      if (ms < min) {
        return new Refusal(
          `must be at least ${formatDuration(min)}, got ${JSON.stringify(value)}`,
          `write ${written ?? facts.example ?? formatDuration(min)}`,
        );
      }
      if (ms <= max) return ms;
      const limit = formatDuration(max);
      return new Refusal(
        `must be at most ${limit}, got ${JSON.stringify(value)}`,
        `write ${limit}`,
      );
    },
    description,
    { example: written, ...facts, default: written },
  );
}

/** Why a text is no duration; also used where a duration is one of two choices. */
export function noDuration(value: string): Refusal {
  if (/^\d+(?:\.\d+)?$/.test(value.trim())) {
    return new Refusal(`needs a unit, got ${value}`, `write ${value}s, ${value}ms or ${value}m`);
  }
  const what = `must be a duration, got ${JSON.stringify(value)}`;
  const plain = value.trim().toLowerCase().replace(/\s+/g, "");
  const spelled = plain.replace(/(?:seconds?|secs?)$/, "s").replace(/(?:minutes?|mins?)$/, "m")
    .replace(/(?:hours?|hrs?)$/, "h").replace(/(?:milliseconds?|msecs?)$/, "ms")
    .replace(/days?$/, "d");
  if (parseDuration(spelled) !== undefined) return new Refusal(what, `write ${spelled}`);
  return new Refusal(what, "write e.g. 500ms, 30s, 1m30s or 24h");
}

/** A size; bytes afterwards. `default`: bytes. */
export function size(
  description: string,
  facts: Omit<KeyFacts, "default"> & { default?: number; min?: number } = {},
) {
  const written = facts.default === undefined ? undefined : formatSize(facts.default);
  const plain = facts.default === 0 ? "0" : written?.replace(/\.0| /g, "");
  return read(
    "size",
    (value) => {
      const bytes = parseSize(value);
      const got = JSON.stringify(value);
      if (bytes !== undefined && bytes >= (facts.min ?? 0)) return bytes;
      if (bytes !== undefined) {
        const least = formatSize(facts.min ?? 0);
        return new Refusal(`must be at least ${least}, got ${got}`, example(facts));
      }
      return noSize(value);
    },
    description,
    { example: plain, ...facts, default: plain },
  );
}

/** Why a text is no size. */
export function noSize(value: string): Refusal {
  if (/^\d+(?:\.\d+)?$/.test(value.trim())) {
    const fix = `write ${value}MB, ${value}MiB or ${value}KB`;
    return new Refusal(`needs a unit, got ${value}`, fix);
  }
  const spelled = value.trim().replace(/(\d\s?[kmgt]i?)$/i, "$1B");
  const fix = parseSize(spelled) === undefined ? "128MB, 512MiB or 64KiB" : spelled;
  return new Refusal(`must be a size, got ${JSON.stringify(value)}`, `write ${fix}`);
}

/** A whole number. */
export function count(
  description: string,
  facts: Omit<KeyFacts, "default"> & { default?: number; min: number; max: number },
) {
  return z.int().min(facts.min).max(facts.max)
    .meta(meta("number", description, { example: facts.default ?? facts.min, ...facts }));
}

/** A number that may have a fraction. */
export function number(
  description: string,
  facts: Omit<KeyFacts, "default"> & { default?: number; min: number; max: number },
) {
  return z.number().min(facts.min).max(facts.max)
    .meta(meta("number", description, { example: facts.default ?? facts.min, ...facts }));
}

/** true or false. */
export function flag(description: string, facts: KeyFacts = {}) {
  return z.boolean().meta(meta("true or false", description, { example: true, ...facts }));
}

/** One of some words. */
export function oneOf<const T extends [string, ...string[]]>(
  choices: T,
  description: string,
  facts: KeyFacts = {},
) {
  const kind = choices.map((choice) => `\`${choice}\``).join(", ");
  return z.enum(choices).meta(meta(kind, description, { example: choices[0], ...facts }));
}

/** A command as a list of words. */
export function wordList() {
  return z.array(z.string()).min(1).superRefine((list, context) => {
    if (list[0]?.trim() !== "") return;
    context.addIssue({
      code: "custom",
      path: [0],
      message: "must name a program",
      params: { fix: "write the program first: [node, server.js]" },
    });
  });
}

/** A map with exactly these keys. */
export function section<T extends z.core.$ZodLooseShape>(description: string, shape: T) {
  return z.strictObject(shape).meta({ description, kind: "map" });
}

/** A description for a composed type. */
export function described<T extends z.ZodType>(
  type: T,
  kind: string,
  description: string,
  facts: KeyFacts = {},
): T {
  return type.meta(meta(kind, description, facts));
}

/** Reports a refusal to the schema library. */
export function refuse(context: z.core.$RefinementCtx, refusal: Refusal): void {
  context.addIssue({
    code: "custom",
    message: refusal.message,
    params: { fix: refusal.fix },
  });
}

/** `write X`, X being the nearest choice or the first. */
export function writeOneOf(got: string, choices: readonly string[]): string {
  return `write ${nearest(got, choices) ?? choices[0]}`;
}

function example(facts: KeyFacts | { default?: number; example?: unknown }): string {
  const shown = facts.example ?? facts.default;
  return shown === undefined ? "write a value, or remove the key" : `write e.g. ${shown}`;
}
