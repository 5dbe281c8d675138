/**
 * The journal on disk: what memory has forgotten, and what daemons before this one saw.
 *
 * | what fails                        | what is so afterwards                                         |
 * | --------------------------------- | ------------------------------------------------------------- |
 * | the file cannot be opened         | told once; events are in the log and in memory only           |
 * | a write (disk full)               | told once; lost ones are counted, told when it works again    |
 * | a line is torn or none of ours    | passed over when reading                                      |
 * | the disk hangs                    | events are counted as lost, nobody else waits                 |
 *
 * Invariants: put() never waits and never throws; the files are bounded in size and number; reading
 * holds one block and one line in memory. `seq` is unique only within a life, so each line says whose
 * it is.
 */

import { type Clock, stamp } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { Emit, EventRecord } from "./events.ts";
import { LogFiles, type Place } from "./log_files.ts";
import type { Reopened } from "./log.ts";
import { Outlet, type OutletTarget } from "./outlet.ts";
import { RotatingFile, type RotationLimits } from "./rotating_file.ts";
import { fileTarget } from "./targets.ts";

/** Which events of the past are wanted. */
export interface PastQuery {
  /** Only those before this one of this life; undefined: all that are on disk. */
  before?: number;
  /** At most so many, the newest. */
  limit: number;
  /** Milliseconds of wall time; only events from then on. */
  since?: number;
  /** Only these. */
  wanted?: (record: EventRecord) => boolean;
}

/** How a store is opened. */
export interface JournalStoreOptions {
  /** The newest file. */
  path: string;
  limits: RotationLimits;
  clock: Clock;
  /** For what goes wrong with the file. */
  emit: Emit;
}

/** A line on disk: the event, and whose it is. */
interface Line extends EventRecord {
  life: string;
}

/** See the file's comment. */
export class JournalStore implements AsyncDisposable {
  readonly #path: string;
  readonly #emit: Emit;
  readonly #limits: RotationLimits;
  /** Marks the lines of this daemon. */
  readonly #life = crypto.randomUUID().slice(0, 8);
  readonly #file: RotatingFile | undefined;
  readonly #outlet: Outlet | undefined;
  /** The batch that is being written. */
  #writing: Promise<void> | undefined;
  #failing = false;

  /** Never fails: without a file the events are not kept on disk, and that is told. */
  constructor({ path, limits, clock, emit }: JournalStoreOptions) {
    this.#path = path;
    this.#emit = emit;
    this.#limits = { ...limits };
    try {
      this.#file = RotatingFile.open(path, this.#limits);
      this.#outlet = new Outlet(this.#target(this.#file), clock, (events, reason) => {
        this.#failing = false;
        emit("journal_lost", { file: path, events, reason });
      });
    } catch (error) {
      this.#tell(error);
    }
  }

  /** Events of this life that did not reach the disk. */
  get lost(): number {
    return this.#outlet?.lost ?? 0;
  }

  /** Takes one event. */
  put(record: EventRecord): void {
    const line: Line = { ...record, life: this.#life };
    this.#outlet?.put(`${JSON.stringify(line)}\n`);
  }

  /** When the file is turned over, and how many are kept, from the next batch on. */
  configure(limits: RotationLimits): void {
    Object.assign(this.#limits, limits);
  }

  /** Opens the file anew (someone moved it away). */
  async reopen(): Promise<Reopened[]> {
    if (this.#outlet === undefined) return [];
    const error = await this.#outlet.reopen();
    return [{ file: this.#path, ...(error === undefined ? {} : { error }) }];
  }

  /** Events of the past, oldest first. */
  async *past(
    { before, limit, since = 0, wanted = () => true }: PastQuery,
  ): AsyncGenerator<EventRecord> {
    if (this.#outlet === undefined) return;
    await this.#outlet.flush();
    const files = await this.#files();
    const oldest = stamp(since);
    const isLater = (line: Line) =>
      before !== undefined && line.life === this.#life && line.seq >= before;
    try {
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
    } catch (error) {
      throw new Failure(`cannot read the events in "${this.#path}": ${messageOf(error)}`, {
        fix: "without --limit and --since only what is in memory is shown",
        cause: error,
      });
    } finally {
      files[Symbol.dispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outlet?.[Symbol.asyncDispose]();
  }

  /** Taken between two batches, so that no file is turned over meanwhile. */
  #files(): Promise<LogFiles> {
    const between = async <T>(look: () => T): Promise<T> => {
      while (this.#writing !== undefined) await this.#writing;
      return look();
    };
    return between(() => new LogFiles(this.#path, this.#limits.files, () => this.#file, between));
  }

  #target(file: RotatingFile): OutletTarget {
    const target = fileTarget(file);
    return {
      ...target,
      write: async (lines) => {
        const written = target.write(lines);
        this.#writing = written.catch(() => {}); // who reads only waits for its end
        try {
          await written;
        } catch (error) {
          this.#tell(error);
          throw error;
        } finally {
          this.#writing = undefined;
        }
      },
    };
  }

  /** Says that events do not reach the disk; once, until they do. */
  #tell(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#emit("journal_failed", { file: this.#path, error: messageOf(error) });
  }
}

/** The event in one line; undefined when it is none. */
function decode(text: string): Line | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // torn by a kill or a full disk: the table above
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { at, seq, level, event, data } = value as Record<string, unknown>;
  const whole = typeof at === "string" && typeof seq === "number" && typeof level === "string" &&
    typeof event === "string" && typeof data === "object" && data !== null;
  return whole ? value as Line : undefined;
}
