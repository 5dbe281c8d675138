/**
 * Times for people.
 *
 * Invariant: at most two units, the larger one first; nothing is rounded up to a time that has not
 * passed.
 */

import { inSeconds } from "../../core/duration.ts";

const UNITS: readonly [suffix: string, ms: number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** How long something has lasted: `0s`, `59s`, `3m 20s`, `2h 5m`, `12d 4h`. */
export function span(ms: number): string {
  const first = UNITS.findIndex(([, size]) => ms >= size);
  if (first < 0) return "0s";
  const [suffix, size] = UNITS[first];
  const text = `${Math.floor(ms / size)}${suffix}`;
  const next = UNITS[first + 1];
  const rest = next === undefined ? 0 : Math.floor((ms % size) / next[1]);
  return rest === 0 ? text : `${text} ${rest}${next[0]}`;
}

/** How long something took: `0.0 s`, `0.8 s`, `12.3 s`, from a minute on as span(). */
export function took(ms: number): string {
  return ms < 60_000 ? inSeconds(ms) : span(ms);
}

/** `1 lease`, `2 leases`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
