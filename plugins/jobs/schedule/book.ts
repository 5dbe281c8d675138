/**
 * Which run of each schedule was the last, on disk: for runs that are missed while the daemon is away.
 *
 * Invariants: the file is replaced as a whole; writes follow one another, and while one is under way
 * only the newest state waits; a file that cannot be read counts as none (its runs were not missed, as
 * nobody can know), and that is told.
 */

import { Failure, messageOf } from "../../../lib/core/failure.ts";
import { atomicWrite, readTextIfAny } from "../../../lib/os/files.ts";

/** What is kept of a schedule. */
export interface Entry {
  /** Another line or zone is another schedule. */
  cron: string;
  timezone?: string;
  /** Wall milliseconds. */
  last: number;
}

const FORMAT = 1;

/** See the file's comment. */
export class Book {
  #writing: Promise<void> | undefined;
  #next: string | undefined;

  /** @param told hears of a write that failed */
  constructor(readonly file: string, readonly told: (failure: Failure) => void) {}

  read(): Record<string, Entry> {
    try {
      const content = JSON.parse(readTextIfAny(this.file) ?? `{"format":${FORMAT},"last":{}}`);
      if (content?.format === FORMAT && typeof content.last === "object") return content.last;
      this.told(new Failure(`"${this.file}" is no book of schedules; it is written anew`));
    } catch (error) {
      const what = `the book of schedules "${this.file}" cannot be read; it is written anew`;
      this.told(new Failure(`${what}: ${messageOf(error)}`));
    }
    return {};
  }

  write(last: Record<string, Entry>): void {
    this.#next = JSON.stringify({ format: FORMAT, last }, null, 2) + "\n";
    this.#writing ??= this.#write();
  }

  /** Everything is written. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#next !== undefined) {
      const text = this.#next;
      this.#next = undefined;
      try {
        await atomicWrite(this.file, text, 0o600);
      } catch (error) {
        this.told(error instanceof Failure ? error : new Failure(messageOf(error)));
      }
    }
    this.#writing = undefined;
  }
}
