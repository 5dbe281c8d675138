/**
 * Lines on their way to a file or a terminal, written in batches behind the back of the caller.
 *
 * Invariant: put() never waits and never throws: a disk that hangs, a full one, or a reader of
 * standard error that has stopped reading costs log lines (counted), never a request. Lines keep their
 * order; what waits is bounded.
 */

import { within } from "../core/clock.ts";
import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";

/** Where batches of whole lines go. */
export interface OutletTarget {
  /** @throws when they cannot be written (all or some). */
  write(lines: Uint8Array): Promise<void>;
  /** The same at once; for the end of the process. */
  writeSync(lines: Uint8Array): void;
  /** Opens the file anew. Undefined: done, or nothing to do; else why the old one stays in use. */
  reopen(): string | undefined;
  close(): void;
}

/** Characters that may wait to be written. */
const MAX_WAITING = 1024 * 1024;
/** The longest that close() waits for a target that does not take its lines. Milliseconds. */
const CLOSE_LIMIT = 2000;

const encoder = new TextEncoder();

/** See the file's comment. */
export class Outlet implements AsyncDisposable {
  #target: OutletTarget;
  #next: OutletTarget | undefined;
  readonly #clock: Clock;
  #waiting: string[] = [];
  #size = 0;
  #writing: Promise<void> | undefined;
  #reopens: PromiseWithResolvers<string | undefined>[] = [];
  #lost = 0;
  #unreported = 0;
  #lastError = "";
  readonly #onBack: (lost: number, reason: string) => void;

  /** @param onBack told once after lines were lost, when writing works again */
  constructor(
    target: OutletTarget,
    clock: Clock,
    onBack: (lost: number, reason: string) => void = () => {},
  ) {
    this.#target = target;
    this.#clock = clock;
    this.#onBack = onBack;
  }

  /** Lines that never reached the target. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes one line (with its newline). */
  put(line: string): void {
    if (this.#size + line.length > MAX_WAITING) {
      return this.#lose(1, "lines came faster than they could be written");
    }
    this.#waiting.push(line);
    this.#size += line.length;
    this.#writing ??= this.#write();
  }

  /** Resolves when everything put so far has been written or lost. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Writes what waits at once; for a process that is about to die. */
  flushSync(): void {
    const lines = this.#take();
    if (lines.length === 0) return;
    try {
      this.#target.writeSync(encoder.encode(lines.join("")));
    } catch (error) {
      this.#lose(lines.length, messageOf(error));
    }
  }

  /** Opens the target anew, between two batches. Undefined: done; else why the old one stays. */
  reopen(): Promise<string | undefined> {
    const request = Promise.withResolvers<string | undefined>();
    this.#reopens.push(request);
    this.#writing ??= this.#write();
    return request.promise;
  }

  /** From the next batch on, lines (those that wait, too) go to another target; the old one closes. */
  use(target: OutletTarget): void {
    this.#next?.close();
    this.#next = target;
    this.#writing ??= this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within(this.#clock, CLOSE_LIMIT, this.flush());
    this.#next?.close();
    this.#target.close();
  }

  async #write(): Promise<void> {
    await Promise.resolve(); // lines put in the same turn go into the same batch
    while (this.#waiting.length > 0 || this.#reopens.length > 0 || this.#next !== undefined) {
      this.#switchTarget();
      this.#answerReopens();
      const lines = this.#take();
      if (lines.length === 0) continue;
      try {
        await this.#target.write(encoder.encode(lines.join("")));
        this.#reportBack();
      } catch (error) {
        this.#lose(lines.length, messageOf(error));
      }
    }
    this.#writing = undefined;
  }

  #switchTarget(): void {
    if (this.#next === undefined) return;
    this.#target.close();
    this.#target = this.#next;
    this.#next = undefined;
  }

  #answerReopens(): void {
    const requests = this.#reopens;
    this.#reopens = [];
    if (requests.length === 0) return;
    const error = this.#target.reopen();
    for (const request of requests) request.resolve(error);
  }

  #take(): string[] {
    const lines = this.#waiting;
    this.#waiting = [];
    this.#size = 0;
    return lines;
  }

  #lose(lines: number, reason: string): void {
    this.#lost += lines;
    this.#unreported += lines;
    this.#lastError = reason;
  }

  #reportBack(): void {
    if (this.#unreported === 0) return;
    const lost = this.#unreported;
    this.#unreported = 0;
    this.#onBack(lost, this.#lastError);
  }
}
