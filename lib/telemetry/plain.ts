/**
 * Facts of events made safe to keep: plain JSON, bounded, without environments.
 *
 * Invariant: never throws, whatever it is given; the result shares nothing with the argument, so
 * that what was recorded does not change afterwards; no value below a key that holds environment
 * variables survives.
 */

import { messageOf } from "../core/failure.ts";

/** Characters of one string. */
const MAX_STRING = 8 * 1024;
/** Characters of one event's facts in all. */
const MAX_TOTAL = 128 * 1024;
/** Keys whose values may be secrets. */
const SECRET_KEYS = new Set(["env", "environment"]);

/** A bounded plain copy of `data`. */
export function plainData(data: unknown): Record<string, unknown> {
  try {
    const text = JSON.stringify(data, replace) ?? "{}";
    if (text.length > MAX_TOTAL) return { truncated: text.slice(0, MAX_STRING) };
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : { value };
  } catch (error) {
    // A cycle or a getter that throws is a bug of the caller; the event itself must not be lost.
    return { unprintable: messageOf(error) };
  }
}

function replace(key: string, value: unknown): unknown {
  if (SECRET_KEYS.has(key)) return undefined;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return messageOf(value);
  if (typeof value === "string" && value.length > MAX_STRING) {
    return `${value.slice(0, MAX_STRING)}…`;
  }
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
