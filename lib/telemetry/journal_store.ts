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

import type { Clock } from "../core/clock.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { Emit, EventRecord } from "./events.ts";
import { type Line, linesOf, type LinesQuery } from "./journal_lines.ts";
import { LogFiles } from "./log_files.ts";
import type { Reopened } from "./log.ts";
import { Outlet, type OutletTarget } from "./outlet.ts";
import { RotatingFile, type RotationLimits } from "./rotating_file.ts";
import { fileTarget } from "./targets.ts";

/** Which events of the past are wanted. */
export interface PastQuery extends LinesQuery {
  /** Only those before this one of this life; undefined: all that are on disk. */
  before?: number;
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
  async *past({ before, ...query }: PastQuery): AsyncGenerator<EventRecord> {
    if (this.#outlet === undefined) return;
    await this.#outlet.flush();
    const files = await this.#files();
    const isLater = (line: Line) =>
      before !== undefined && line.life === this.#life && line.seq >= before;
    try {
      yield* linesOf(files, query, isLater);
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
