/**
 * Durations as people write them: `500ms`, `30s`, `1m30s`, `24h`; `0` needs no unit.
 *
 * Invariant: parse and format agree: parseDuration(formatDuration(x)) === x for whole milliseconds
 * from 0 up. A negative duration is only ever shown (a deadline that passed), never read.
 */

const UNITS: [unit: string, ms: number][] = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], [
  "s",
  1000,
], ["ms", 1]];
const FACTOR = new Map(UNITS);
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/** Milliseconds of a written duration, or undefined when the text is not one. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  if (!WHOLE.test(trimmed)) return undefined;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(PART)) {
    total += Number(amount) * FACTOR.get(unit)!;
  }
  const rounded = Math.round(total);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

/** Time that has passed, to a tenth and never rounded up: `0.2 s`, `12.3 s`. */
export function inSeconds(ms: number): string {
  return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
}

/** The shortest writing of a number of milliseconds: `1m30s`, `250ms`, `0`, `-2s`. */
export function formatDuration(ms: number): string {
  let rest = Math.abs(Math.round(ms));
  if (rest === 0) return "0";
  let text = ms < 0 ? "-" : "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count === 0) continue;
    text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
