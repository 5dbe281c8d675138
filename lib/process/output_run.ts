/**
 * The output of one run: its two streams, from the start of the program until all of it is delivered.
 *
 * | state   | entered by            | leaves when                                             |
 * | ------- | --------------------- | ------------------------------------------------------- |
 * | open    | –                     | end()                                                   |
 * | ending  | end()                 | both streams are read: the spool is removed             |
 * | over    | the above, or close() | –                                                       |
 *
 * Invariant: the spool is removed in the state "ending" only; close() leaves it to the next daemon.
 */

import { messageOf } from "../core/failure.ts";
import type { OutputLog } from "./output_log.ts";
import type { Pump } from "./output_pump.ts";
import type { Recent } from "./output_recent.ts";
import type { Spool, Stream } from "./spool.ts";
import { type ReaderHost, SpoolReader } from "./spool_reader.ts";
import type { OutputLine, OutputRun } from "./types.ts";

/** What a run is made of. */
export interface RunParts {
  host: ReaderHost;
  spool: Spool;
  log: OutputLog;
  recent: Recent;
  pump: Pump;
  /** First byte of a file that is not in a hole. */
  firstData(path: string, from: number): number;
}

/** See the file's comment. */
export class FollowedRun implements OutputRun {
  readonly files: { stdout: string; stderr: string };
  /** Resolves in the state "over". */
  readonly over: Promise<void>;
  readonly #parts: RunParts;
  readonly #readers: SpoolReader[];
  #closed = false;

  /** @throws what the system throws when the spool cannot be opened. */
  constructor(parts: RunParts) {
    this.#parts = parts;
    this.files = parts.spool.files;
    this.#readers = openReaders(parts);
    this.over = this.#finish();
  }

  /** Bytes printed and not yet delivered. */
  get backlog(): number {
    return this.#readers.reduce((sum, reader) => sum + reader.backlog, 0);
  }

  /** An unfinished line is the last one of its stream: a prompt, or the last words of a program. */
  recent(): OutputLine[] {
    const unfinished = this.#readers.map((reader) => reader.unfinished);
    return [...this.#parts.recent.list(), ...unfinished.filter((line) => line !== undefined)];
  }

  async settle(): Promise<void> {
    const settled = this.#readers.map((reader) => reader.settle());
    this.wake();
    await Promise.all(settled);
    if (this.#readers.every((reader) => reader.isDone)) await this.over;
  }

  end(): void {
    for (const reader of this.#readers) reader.end();
    this.wake();
  }

  /** Stops here; what is unread is for the next daemon. Resolves when nothing is open any more. */
  close(): Promise<void> {
    this.#closed = true;
    for (const reader of this.#readers) reader.close();
    return this.over;
  }

  /** Gives both streams a turn. */
  wake(): void {
    for (const reader of this.#readers) this.#parts.pump.wake(reader);
  }

  /** Gives the stream whose file has this base name a turn. False: it is none of this run. */
  wakeNamed(name: string): boolean {
    const reader = this.#readers.find(({ stream }) => this.files[stream].endsWith(`/${name}`));
    if (reader !== undefined) this.#parts.pump.wake(reader);
    return reader !== undefined;
  }

  /** Gives a turn to the streams that have grown. False: none has. */
  wakeChanged(): boolean {
    const changed = this.#readers.filter((reader) => reader.changed);
    for (const reader of changed) this.#parts.pump.wake(reader);
    return changed.length > 0;
  }

  /** `log` has become another file. */
  async settleIntents(log: OutputLog): Promise<void> {
    if (this.#parts.log !== log) return;
    for (const reader of this.#readers) await reader.settleIntent();
  }

  async #finish(): Promise<void> {
    await Promise.all(this.#readers.map((reader) => reader.done));
    const { spool, recent, host } = this.#parts;
    recent.runs--;
    if (this.#closed) return spool.close();
    try {
      await spool.remove();
    } catch (error) {
      // It stays until the next daemon finds it, reads nothing new and tries again.
      host.loss.count(spool.owner, 0, `cannot remove output files: ${messageOf(error)}`);
    }
  }
}

/** A run without a spool (none could be made): the program runs, its output is dropped. */
export class UnrecordedRun implements OutputRun {
  readonly files = { stdout: "/dev/null", stderr: "/dev/null" };
  #ended = false;

  constructor(private readonly lines: Recent) {}

  recent(): OutputLine[] {
    return this.lines.list();
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  end(): void {
    if (!this.#ended) this.lines.runs--;
    this.#ended = true;
  }
}

/** The readers of the streams whose file is there; somebody may have removed one of a dead program. */
function openReaders({ host, spool, log, recent, firstData }: RunParts): SpoolReader[] {
  const readers: SpoolReader[] = [];
  try {
    for (const stream of ["stdout", "stderr"] satisfies Stream[]) {
      const path = spool.files[stream];
      try {
        const position = spool.intent(stream)?.to ?? firstData(path, 0);
        readers.push(new SpoolReader(host, spool, stream, log, recent, position));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return readers;
  } catch (error) {
    for (const reader of readers) reader.close();
    throw error;
  }
}
