/**
 * Answers `logs`: lines of one, some or all programs, merged in the order of time, and what follows.
 *
 * How: from the newest line backwards over all logs at once until enough are counted, which gives a
 * place in each log; then forwards from there, merged. Nothing older than needed is read.
 *
 * Invariants: with `follow` there is neither gap nor repetition between what is read and what comes; a
 * follower who reads too slowly is dropped with a last record that says so, and holds nobody up.
 */

import { type Clock, stamp } from "../core/clock.ts";
import { Feed, FEED_LIMITS } from "../telemetry/feed.ts";
import type { RotatingFile } from "../telemetry/rotating_file.ts";
import { thenFollow } from "../telemetry/then_follow.ts";
import { type Between, LogFiles } from "../telemetry/log_files.ts";
import { lastLines, type Match, merged, startsAt } from "./log_merge.ts";
import { decodeRecord, type LogRecord } from "./log_record.ts";
import type { OutputLimits } from "./output_limits.ts";
import { idsIn, logPathOf } from "./output_log.ts";
import { idOf } from "./spool.ts";

/** Lines when neither number nor time is asked for. */
const DEFAULT_LINES = 100;
/** Weight of a record besides its line. Characters. */
const RECORD_WEIGHT = 160;

/** Which lines are wanted. */
export interface LogStoreQuery {
  /** Configured id (all replicas) or instance id; undefined: everything. */
  process?: string;
  /** At most so many, the newest. Default: 100, or without limit when `since` is given. */
  lines?: number;
  /** Milliseconds of wall time; only lines from then on. */
  since?: number;
  /** Only lines that contain this text. */
  grep?: string;
  /** Go on with what is printed from now on. */
  follow?: boolean;
}

/** What a store reads from. */
export interface LogStoreOptions {
  directory: string;
  limits: OutputLimits;
  feed: Feed<LogRecord>;
  /** Who writes the log of an id now. */
  fileOf(id: string): RotatingFile | undefined;
  /** Runs something at a moment when no log is written or turned over. */
  between: Between;
}

/** The feed that live lines go through. */
export function newFeed(clock: Clock): Feed<LogRecord> {
  return new Feed<LogRecord>(
    (record) => RECORD_WEIGHT + record.line.length,
    () => ({
      at: stamp(clock.wall()),
      process: "supervisor",
      release: null,
      stream: "stderr",
      line: `dropped: ${FEED_LIMITS.items} lines were waiting to be read here; ask again`,
    }),
  );
}

/** See the file's comment. */
export class LogStore {
  readonly #options: LogStoreOptions;

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** The ids that have a log, sorted. */
  ids(): string[] {
    return idsIn(this.#options.directory);
  }

  /**
   * Records in the order of time, from the first read on. Ends without an error when all are read or
   * `signal` is aborted; with `follow` only then.
   */
  query(query: LogStoreQuery, signal?: AbortSignal): AsyncIterableIterator<LogRecord> {
    let coming: AsyncIterableIterator<LogRecord> | undefined;
    const past = this.#past(query, signal, () => {
      if (query.follow) coming = this.#options.feed.follow(signal, wants(query));
    });
    return thenFollow(past, () => coming);
  }

  async *#past(
    query: LogStoreQuery,
    signal: AbortSignal | undefined,
    onMoment: () => void,
  ): AsyncGenerator<LogRecord> {
    const logs = await this.#options.between(() => {
      onMoment();
      return this.#logsOf(query.process);
    });
    try {
      const oldest = stamp(query.since ?? 0);
      const match = matcher(query, oldest, signal);
      const sources = query.lines === undefined && query.since !== undefined
        ? await startsAt(logs, query.since)
        : await lastLines(logs, this.#lines(query), oldest, match);
      for await (const record of merged(sources, match)) {
        yield record;
      }
    } catch (error) {
      if (!signal?.aborted) throw error; // else nobody waits for the rest
    } finally {
      for (const log of logs) log[Symbol.dispose]();
    }
  }

  #lines({ lines = DEFAULT_LINES }: LogStoreQuery): number {
    return Math.min(lines, this.#options.limits.query_lines);
  }

  #logsOf(process: string | undefined): LogFiles[] {
    const { directory, limits, fileOf, between } = this.#options;
    const ids = process === undefined ? this.ids() : [...new Set([process, idOf(process)])];
    return ids.map((id) =>
      new LogFiles(logPathOf(directory, id), limits.rotation.files, () => fileOf(id), between)
    );
  }
}

/** Whether a record is of the process, by instance or by configured id, and has the text. */
function wants({ process, grep }: LogStoreQuery): (record: LogRecord) => boolean {
  return ({ process: instance, line }) =>
    (process === undefined || instance === process || idOf(instance) === process) &&
    (grep === undefined || line.includes(grep));
}

/** @throws the signal's reason, to end a search that nobody waits for any more */
function matcher(query: LogStoreQuery, oldest: string, signal?: AbortSignal): Match {
  const wanted = wants(query);
  return (text) => {
    signal?.throwIfAborted();
    const record = decodeRecord(text);
    return record !== undefined && record.at >= oldest && wanted(record) ? record : undefined;
  };
}
