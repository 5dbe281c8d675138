/**
 * The events in the journal's files: read while a daemon writes them, and when none is there.
 *
 * Invariants: oldest first, never more than asked for; a line that is torn or none of ours is passed
 * over; one block and one line are in memory.
 */

import { stamp } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "../os/reason.ts";
import type { EventRecord } from "./events.ts";
import { LogFiles, type Place } from "./log_files.ts";

/** Rotated files that are looked for when nobody says how many are kept. */
const FILES = 100;

/** A line on disk: the event, and whose it is. */
export interface Line extends EventRecord {
  life: string;
}

/** Which events are wanted. */
export interface LinesQuery {
  /** At most so many, the newest. */
  limit: number;
  /** Milliseconds of wall time; only events from then on. */
  since?: number;
  /** Only these. */
  wanted?: (record: EventRecord) => boolean;
}

/** The wanted events. @param isLater whether a line came after the moment that is looked at */
export async function* linesOf(
  files: LogFiles,
  { limit, since = 0, wanted = () => true }: LinesQuery,
  isLater: (line: Line) => boolean = () => false,
): AsyncGenerator<EventRecord> {
  const oldest = stamp(since);
  let start: Place | undefined;
  let left = limit;
  for await (const { text, age, offset } of files.backwards()) {
    if (left === 0) break;
    const line = decode(text);
    if (line === undefined || isLater(line)) continue;
    if (line.at < oldest) break;
    if (!wanted(line)) continue;
    start = { age, offset };
    left--;
  }
  if (start === undefined) return;
  for await (const text of files.forwards(start)) {
    const line = decode(text);
    if (line === undefined) continue;
    if (isLater(line)) return;
    const { life: _, ...record } = line;
    if (record.at >= oldest && wanted(record)) yield record;
  }
}

/**
 * The wanted events of a journal that no daemon writes.
 *
 * @param path the newest file
 * @returns undefined when there is no journal
 * @throws Failure when it cannot be read
 */
export async function linesOnDisk(
  path: string,
  query: LinesQuery,
): Promise<EventRecord[] | undefined> {
  try {
    Deno.statSync(path);
    const files = new LogFiles(path, FILES, () => undefined, (look) => Promise.resolve(look()));
    try {
      return await Array.fromAsync(linesOf(files, query));
    } finally {
      files[Symbol.dispose]();
    }
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw new Failure(`cannot read the events in "${path}": ${reasonOf(error)}`, {
      fix: "run the command as the user that the daemon runs as",
      cause: error,
    });
  }
}

/** The event in one line; undefined when it is none. */
function decode(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // torn by a kill or a full disk
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { at, seq, level, event, data } = value as Record<string, unknown>;
  const whole = typeof at === "string" && typeof seq === "number" && typeof level === "string" &&
    typeof event === "string" && typeof data === "object" && data !== null;
  return whole ? value as Line : undefined;
}
