/**
 * Follows one stream of one run: from the spool into the log, the recent lines and the followers.
 *
 * | state   | entered by                    | a turn                                   | leaves when        |
 * | ------- | ----------------------------- | ---------------------------------------- | ------------------ |
 * | reading | –                             | at most one buffer of whole lines        | end()              |
 * | ending  | end(): the program is gone    | the same; at the end the unfinished line | everything is read |
 * | done    | everything is read, or cannot | nothing                                  | –                  |
 *
 * Invariants: the position (in memory, and on disk through the intent) is the first byte that is not
 * delivered; it moves only after the log has taken or refused the lines, and refused lines are
 * counted. What was read is given back to the disk, in large steps and only below the position. The
 * program is never waited for and never made to wait.
 */

import { type Clock, stamp } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { Feed } from "../telemetry/feed.ts";
import { encodeBatch, type LogRecord } from "./log_record.ts";
import { type Split, splitLines } from "./output_lines.ts";
import type { OutputLimits } from "./output_limits.ts";
import type { OutputLog } from "./output_log.ts";
import type { Loss } from "./output_loss.ts";
import type { Recent } from "./output_recent.ts";
import type { Spool, Stream } from "./spool.ts";
import { settledAt } from "./spool_position.ts";
import type { OutputLine } from "./types.ts";
import { CONFIRM, type Look, RewriteWatch, type Rewritten } from "./spool_rewrite.ts";

const NEWLINE = 0x0a;
/** Bytes of an unfinished line that are shown. */
const MAX_UNFINISHED = 1024;
/** Holes are punched at multiples of this; every common block size divides it. */
const HOLE_ALIGNMENT = 64 * 1024;

/** What a reader works with; shared by all readers. */
export interface ReaderHost {
  readonly clock: Clock;
  readonly limits: OutputLimits;
  readonly feed: Feed<LogRecord>;
  readonly loss: Loss;
  /** Frees a part of a file. False: this file system cannot. */
  punchHole(path: string, from: number, length: number): boolean;
  /** The log has become another file: intents of everybody who writes to it are void. */
  turned(log: OutputLog): Promise<void>;
  /** Gives a reader a turn in `ms` milliseconds. */
  wakeLater(reader: SpoolReader, ms: number): void;
  /** Counts what went through. */
  count(lines: number, bytes: number): void;
}

/** See the file's comment. */
export class SpoolReader {
  readonly #host: ReaderHost;
  readonly #spool: Spool;
  readonly #recent: Recent;
  readonly #file: Deno.FsFile;
  readonly #done = Promise.withResolvers<void>();
  #position: number;
  /** The spool when it was last read to its end. */
  #seen: Look = { size: -1, mtime: null };
  readonly #rewrite = new RewriteWatch();
  /** The byte before the position is a newline. */
  #atLineEnd = false;
  /** Freed up to here. */
  #freed = 0;
  #holes = true;
  /** Lines before this offset are counted as lost: the program is too far ahead. */
  #skipTo = 0;
  /** Lines before this offset were printed while nobody read; stamped by the file's own time. */
  #lateUntil: number;
  #unfinished = new Uint8Array();
  #state: "reading" | "ending" | "done" = "reading";
  #waiting: PromiseWithResolvers<void>[] = [];

  /**
   * @param position first byte that is not delivered; beyond 0: of a spool of an earlier daemon
   * @throws what the system throws when the spool cannot be opened
   */
  constructor(
    host: ReaderHost,
    spool: Spool,
    readonly stream: Stream,
    readonly log: OutputLog,
    recent: Recent,
    position: number,
  ) {
    this.#host = host;
    this.#spool = spool;
    this.#recent = recent;
    this.#position = position;
    this.#file = Deno.openSync(spool.files[stream], { read: true, write: true });
    this.#lateUntil = this.#file.statSync().size;
  }

  /** Whether the state is done. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Resolves when the state is done. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Bytes in the spool that are not delivered. */
  get backlog(): number {
    return this.#state === "done" ? 0 : Math.max(0, this.#file.statSync().size - this.#position);
  }

  /** The beginning of a line whose end is not yet printed. */
  get unfinished(): OutputLine | undefined {
    if (this.#state === "done" || this.#unfinished.length === 0) return undefined;
    const line = new TextDecoder().decode(this.#unfinished);
    const at = stamp(this.#seen.mtime?.getTime() ?? this.#host.clock.wall());
    return { at, stream: this.stream, line, cut: true };
  }

  /** Whether the spool has changed since it was last read to its end. */
  get changed(): boolean {
    if (this.#state === "done") return false;
    const { size, mtime } = this.#file.statSync();
    return size !== this.#seen.size || mtime?.getTime() !== this.#seen.mtime?.getTime();
  }

  /** Resolves when what is in the spool now has been read; the caller wakes the reader. */
  settle(): Promise<void> {
    if (this.#state === "done") return this.done;
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Nothing will be appended any more; the caller wakes the reader. */
  end(): void {
    if (this.#state === "reading") this.#state = "ending";
  }

  /** The intent refers to a file that the log no longer is: replace it. */
  async settleIntent(): Promise<void> {
    if (this.#state === "done") return;
    try {
      await this.#spool.note(this.stream, settledAt(this.#position));
    } catch (error) {
      this.#complain(error);
    }
  }

  /**
   * Reads and delivers at most one buffer. Never throws.
   * @returns whether there is more to be done at once
   */
  async turn(buffer: Uint8Array): Promise<boolean> {
    if (this.#state === "done") return false;
    const asked = this.#waiting;
    this.#waiting = [];
    let more = false;
    try {
      more = await this.#turn(buffer);
      if (more) this.#waiting.unshift(...asked);
      else asked.forEach((waiting) => waiting.resolve());
    } catch (error) {
      this.#complain(error);
      if (this.#state === "ending") this.#finish();
      asked.forEach((waiting) => waiting.resolve());
    }
    return more;
  }

  /** Stops where it is; the spool stays. */
  close(): void {
    if (this.#state !== "done") this.#finish();
  }

  async #turn(buffer: Uint8Array): Promise<boolean> {
    const last = this.#state === "ending"; // before the size: what comes later was not printed
    const before = this.#file.statSync();
    const rewritten = this.#judge(before);
    if (rewritten === "yes") await this.#startOver();
    if (before.size - this.#position > this.#host.limits.spool_bytes) {
      this.#skipTo = before.size - Math.floor(this.#host.limits.spool_bytes / 2);
    }
    const from = this.#position;
    const bytes = await this.#read(buffer);
    if (bytes === undefined) {
      await this.#startOver();
      return true;
    }
    // As it was when this was read, and before it is told: whoever hears of a line may make the
    // program empty the spool and write the next one, which must not be taken for this one.
    const look = bytes.length > 0 ? this.#file.statSync() : before;
    const { size, mtime } = look;
    const atEnd = from + bytes.length >= size;
    if (from < this.#skipTo) await this.#skip(bytes);
    else await this.#deliver(this.#split(bytes, last && atEnd), mtime);
    const progress = this.#position > from;
    const freed = progress && this.#free();
    this.#unfinished = bytes.slice(this.#position - from, this.#position - from + MAX_UNFINISHED);
    if (this.#position < size && (progress || !atEnd)) return true;
    // What was looked at must be what was read: one more look when it has changed meanwhile.
    if (this.#position > size || freed || await this.#truncateWhenRead()) return true;
    this.#seen = look;
    if (size === this.#position && rewritten !== "maybe") this.#rewrite.remember(look);
    if (last && this.#position >= size) this.#finish();
    return false;
  }

  /** What is at the position; undefined: no line ends before it any more, so the spool is a new one. */
  async #read(buffer: Uint8Array): Promise<Uint8Array | undefined> {
    const lead = this.#atLineEnd && this.#position > this.#freed ? 1 : 0;
    this.#file.seekSync(this.#position - lead, Deno.SeekMode.Start);
    const got = await this.#file.read(buffer) ?? 0;
    return lead > 0 && got > 0 && buffer[0] !== NEWLINE ? undefined : buffer.subarray(lead, got);
  }

  #judge(look: Look): Rewritten {
    if (look.size < this.#position) return "yes";
    const rewritten = this.#rewrite.judge(look, this.#host.clock.now());
    if (rewritten !== "maybe") return rewritten;
    if (this.#state === "ending") return "yes"; // no write of a program that is gone is under way
    this.#host.wakeLater(this, CONFIRM);
    return "maybe";
  }

  #split(bytes: Uint8Array, last: boolean): Split {
    const { line_bytes, turn_lines } = this.#host.limits;
    return splitLines(bytes, { limit: line_bytes, max_lines: turn_lines, last });
  }

  async #deliver({ lines, cut, used }: Split, mtime: Date | null): Promise<void> {
    if (used === 0) return;
    const { instance, release } = this.#spool.owner;
    const wall = this.#stampOf(mtime);
    const head = { at: stamp(wall), process: instance, release, stream: this.stream };
    const records = encodeBatch(head, lines, cut);
    const { kept, error } = await this.#write(records, this.#position + used);
    this.#position += used;
    this.#atLineEnd = !cut;
    this.#unfinished = new Uint8Array();
    if (error !== undefined) {
      this.#host.loss.count(this.#spool.owner, lines.length - newlines(records, kept), error);
      await this.settleIntent();
    } else this.log.stamped(wall);
    this.#host.count(lines.length, used);
    this.#tell(head, lines, cut);
  }

  /** The intent, then the records. `kept`: bytes of them that are in the log. */
  async #write(records: Uint8Array, to: number): Promise<{ kept: number; error?: string }> {
    const place = await this.log.prepare(records.length);
    if ("error" in place) return { kept: 0, error: place.error };
    if (place.turned) await this.#host.turned(this.log);
    await this.#noteIntent(records.length, to, place.mark.inode, place.mark.size);
    const { bytes: kept, error } = await this.log.append(records);
    return { kept, error };
  }

  async #noteIntent(bytes: number, to: number, inode: number, size: number): Promise<void> {
    try {
      await this.#spool.note(this.stream, { from: this.#position, to, bytes, inode, size });
    } catch (error) {
      // Without it a killed daemon repeats lines; the lines themselves go on.
      this.#complain(error);
    }
  }

  #tell(head: Omit<LogRecord, "line" | "cut">, lines: string[], cut: boolean): void {
    const listened = this.#host.feed.followers > 0;
    lines.forEach((line, index) => {
      const mark = cut && index === lines.length - 1 ? { cut } as const : {};
      this.#recent.push({ at: head.at, stream: this.stream, line, ...mark });
      if (listened) this.#host.feed.publish({ ...head, line, ...mark });
    });
  }

  /** The program is further ahead than the disk may hold: its lines are counted, not kept. */
  async #skip(bytes: Uint8Array): Promise<void> {
    const left = this.#skipTo - this.#position;
    const newline = bytes.indexOf(NEWLINE, Math.max(0, left - 1));
    const end = newline >= 0 ? newline + 1 : bytes.length; // goes on to the end of a line
    if (newline < 0) this.#skipTo = Math.max(this.#skipTo, this.#position + end + 1);
    const { spool_bytes } = this.#host.limits;
    const reason = `the program is more than ${spool_bytes} bytes ahead of its log`;
    this.#host.loss.count(this.#spool.owner, newlines(bytes, end), reason);
    this.#position += end;
    this.#atLineEnd = newline >= 0;
    await this.settleIntent();
  }

  #stampOf(mtime: Date | null): number {
    const now = this.#host.clock.wall();
    if (this.#position >= this.#lateUntil || mtime === null) return now;
    return this.log.notBefore(Math.min(now, mtime.getTime()));
  }

  /** Somebody emptied the spool: what is in it now is new. */
  async #startOver(): Promise<void> {
    this.#position = 0;
    this.#freed = 0;
    this.#lateUntil = 0;
    this.#atLineEnd = false;
    await this.settleIntent();
  }

  /** Gives what was read back to the disk, when it is much. False: the spool is as it was. */
  #free(): boolean {
    const to = this.#position - this.#position % HOLE_ALIGNMENT;
    const { free_step } = this.#host.limits;
    if (!this.#holes || to - this.#freed < free_step) return false;
    try {
      const path = this.#spool.files[this.stream];
      this.#holes = this.#host.punchHole(path, this.#freed, to - this.#freed);
    } catch {
      this.#holes = false; // removed by somebody: the open file can still be emptied when it is read
    }
    if (this.#holes) this.#freed = to;
    return this.#holes;
  }

  /** Where the file system cannot free a part: all of it, at a moment when everything is read. */
  async #truncateWhenRead(): Promise<boolean> {
    const read = this.#position;
    if (this.#holes || read < this.#host.limits.free_step) return false;
    if (this.#file.statSync().size !== read) return false;
    await this.#startOver(); // first: a kill in between repeats lines, the other way round loses some
    if (this.#file.statSync().size === read) this.#file.truncateSync(0);
    else this.#position = read; // the program was faster; the next intent corrects what is noted down
    return true;
  }

  #complain(error: unknown): void {
    this.#host.loss.count(this.#spool.owner, 0, `${this.#spool.key}: ${messageOf(error)}`);
  }

  #finish(): void {
    this.#state = "done";
    this.#file.close();
    this.#waiting.forEach((waiting) => waiting.resolve());
    this.#waiting = [];
    this.#done.resolve();
  }
}

/** Newlines before `end`. */
function newlines(bytes: Uint8Array, end: number): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0 && at < end; at = bytes.indexOf(NEWLINE, at + 1)) {
    count++;
  }
  return count;
}
