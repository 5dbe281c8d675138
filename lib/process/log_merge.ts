/**
 * Several logs as one, in the order of time.
 *
 * Invariant: what is in memory is one block and one record of each log, however many lines are asked
 * for; lines of one log keep their order even where the clock was set back between them.
 */

import type { LogFiles, Place, PlacedLine } from "../telemetry/log_files.ts";
import { decodeRecord, type LogRecord } from "./log_record.ts";

/** One log and where to begin in it. */
export interface Source {
  files: LogFiles;
  start: Place;
}

/** The record in a line, when it is one that is wanted. */
export interface Match {
  (text: string): LogRecord | undefined;
}

interface Tail {
  files: LogFiles;
  lines: AsyncGenerator<PlacedLine>;
  start?: Place;
  head?: { at: string; place: Place };
}

/** Each log from the first line that was written at `since` (wall milliseconds) or later. */
export function startsAt(logs: LogFiles[], since: number): Promise<Source[]> {
  return Promise.all(
    logs.map(async (files) => ({ files, start: await files.placeOf(since, millisOf) })),
  );
}

/**
 * Each log from where its part of the newest `count` matching lines of all logs begins; logs without
 * a part are left out. Looks at nothing older than the stamp `oldest`.
 */
export async function lastLines(
  logs: LogFiles[],
  count: number,
  oldest: string,
  match: Match,
): Promise<Source[]> {
  const tails: Tail[] = logs.map((files) => ({ files, lines: files.backwards() }));
  for (const tail of tails) await goBack(tail, oldest, match);
  for (let left = count; left > 0; left--) {
    const newest = newestOf(tails);
    if (newest?.head === undefined) break;
    newest.start = newest.head.place;
    await goBack(newest, oldest, match);
  }
  return tails.flatMap(({ files, start }) => start === undefined ? [] : [{ files, start }]);
}

/** The matching records of all logs from their places on. */
export async function* merged(sources: Source[], match: Match): AsyncGenerator<LogRecord> {
  const heads: { lines: AsyncGenerator<string>; record: LogRecord }[] = [];
  for (const { files, start } of sources) {
    const lines = files.forwards(start);
    const record = await nextMatch(lines, match);
    if (record !== undefined) heads.push({ lines, record });
  }
  while (heads.length > 0) {
    const first = heads.reduce((best, head) => head.record.at < best.record.at ? head : best);
    yield first.record;
    const record = await nextMatch(first.lines, match);
    if (record === undefined) heads.splice(heads.indexOf(first), 1);
    else first.record = record;
  }
}

/** Moves the head of a tail to the next older matching line. */
async function goBack(tail: Tail, oldest: string, match: Match): Promise<void> {
  tail.head = undefined;
  for (;;) {
    const next = await tail.lines.next();
    if (next.done) return;
    const { text, age, offset } = next.value;
    const at = decodeRecord(text)?.at;
    if (at !== undefined && at < oldest) return;
    if (at === undefined || match(text) === undefined) continue;
    tail.head = { at, place: { age, offset } };
    return;
  }
}

/** Of equally new ones the last, because merging takes the first of equals first. */
function newestOf(tails: Tail[]): Tail | undefined {
  let newest: Tail | undefined;
  for (const tail of tails) {
    if (tail.head === undefined) continue;
    if (newest?.head === undefined || tail.head.at >= newest.head.at) newest = tail;
  }
  return newest;
}

async function nextMatch(
  lines: AsyncGenerator<string>,
  match: Match,
): Promise<LogRecord | undefined> {
  for (;;) {
    const next = await lines.next();
    if (next.done) return undefined;
    const record = match(next.value);
    if (record !== undefined) return record;
  }
}

function millisOf(text: string): number | undefined {
  const at = decodeRecord(text)?.at;
  return at === undefined ? undefined : Date.parse(at);
}
