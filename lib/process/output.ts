/**
 * The output of all programs: spools, logs, recent lines, and who follows what.
 *
 * Invariants: a program writes to plain files, so nothing that happens to the daemon blocks it, kills
 * it or loses a line of it; a spool is removed only when its run has ended and all of it is delivered
 * or counted as lost; a spool that cannot be made never keeps a program from running.
 */

import type { Clock, Timer } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import { firstData, punchHole } from "../os/spool.ts";
import { watchDirectory } from "../os/watch.ts";
import type { Emit } from "../telemetry/events.ts";
import { Feed } from "../telemetry/feed.ts";
import type { Reopened } from "../telemetry/log.ts";
import { LogStore, newFeed } from "./log_store.ts";
import type { LogRecord } from "./log_record.ts";
import { OUTPUT_LIMITS, type OutputLimits } from "./output_limits.ts";
import { logPathOf, OutputLog } from "./output_log.ts";
import { Loss } from "./output_loss.ts";
import { Pump } from "./output_pump.ts";
import { Recents } from "./output_recent.ts";
import { FollowedRun, UnrecordedRun } from "./output_run.ts";
import { resumeSpool } from "./output_resume.ts";
import { Spool, type SpoolOwner } from "./spool.ts";
import { type DirectoryWatcher, SpoolWatch } from "./spool_watch.ts";
import type { ReaderHost, SpoolReader } from "./spool_reader.ts";
import type { OutputRun, OutputSink } from "./types.ts";

/** Lines that stay readable of a run whose own setting is not known. */
const DEFAULT_KEEP = 50;
/** What a turn reads besides a line: the newline before it, and one byte that shows it is too long. */
const BUFFER_EXTRA = 2;

/** The parts of the system that the output of programs needs; a test may bring others. */
export interface SpoolGround {
  watchDirectory: DirectoryWatcher;
  punchHole(path: string, from: number, length: number): boolean;
  firstData(path: string, from: number): number;
}

const REAL_GROUND: SpoolGround = { watchDirectory, punchHole, firstData };

/** What openOutput needs. */
export interface OutputOptions {
  /** Where the logs are; made when missing, mode 0700. */
  log_dir: string;
  /** Where programs write; of this daemon alone (its lock is held); made when missing. */
  spool_dir: string;
  clock: Clock;
  emit: Emit;
  limits?: Partial<OutputLimits>;
  ground?: SpoolGround;
}

/** A spool that a daemon before us left. */
export interface LeftSpool extends SpoolOwner {
  files: { stdout: string; stderr: string };
}

/** A run of a daemon before us that is followed on; end() it when its program is gone. */
export interface RecoveredRun extends SpoolOwner {
  run: OutputRun;
}

/** Counters for status and metrics. */
export interface OutputStats {
  /** Runs that are followed. */
  runs: number;
  lines: number;
  bytes: number;
  lost_lines: number;
  /** Bytes printed and not yet read. */
  backlog_bytes: number;
  followers: number;
  followers_dropped: number;
}

/**
 * Opens the output of all programs. Repairs what a kill tore; reads nothing yet of what an earlier
 * daemon left (see recover).
 *
 * @throws Failure or the system's error when the spool directory cannot be made or read
 */
export function openOutput(options: OutputOptions): Output {
  return new Output(options);
}

/** See the file's comment. */
export class Output implements AsyncDisposable {
  /** Where processes open their runs. */
  readonly sink: OutputSink = { open: (spec, keep) => this.#open(spec, keep) };
  /** Reads and follows the logs. */
  readonly store: LogStore;

  readonly #options: OutputOptions;
  readonly #limits: OutputLimits;
  readonly #ground: SpoolGround;
  readonly #pump: Pump;
  readonly #loss: Loss;
  readonly #feed: Feed<LogRecord>;
  readonly #recents = new Recents();
  readonly #logs = new Map<string, OutputLog>();
  readonly #runs = new Set<FollowedRun>();
  readonly #watch: SpoolWatch;
  readonly #host: ReaderHost;
  readonly #timers = new Map<SpoolReader, Timer>();
  #left: Spool[];
  #lines = 0;
  #bytes = 0;

  /** @throws see openOutput */
  constructor(options: OutputOptions) {
    this.#options = options;
    this.#limits = { ...OUTPUT_LIMITS, ...options.limits };
    this.#ground = options.ground ?? REAL_GROUND;
    const { clock, emit, log_dir, spool_dir } = options;
    Deno.mkdirSync(spool_dir, { recursive: true, mode: 0o700 });
    this.#pump = new Pump(clock, this.#limits.line_bytes + BUFFER_EXTRA);
    this.#loss = new Loss(clock, emit);
    this.#feed = newFeed(clock);
    this.store = new LogStore({
      directory: log_dir,
      limits: this.#limits,
      feed: this.#feed,
      fileOf: (id) => this.#logs.get(id)?.file,
      between: (look) => this.#pump.run(look),
    });
    this.#host = this.#newHost();
    this.#left = Spool.find(spool_dir);
    for (const spool of this.#left) resumeSpool(spool, logPathOf(log_dir, spool.owner.id));
    this.#watch = new SpoolWatch(spool_dir, this.#ground.watchDirectory, clock, {
      onName: (name) => this.#wakeNamed(name),
      sweep: () => this.#sweep(),
      onTrouble: (error) => emit("output_unwatched", { directory: spool_dir, error }),
    });
  }

  /**
   * Reads on where an earlier daemon stopped. Spools of programs that are gone are read to their end
   * in the background and removed; the others are followed and handed back.
   *
   * @param living whether something may still write to the files
   * @param keep lines that stay readable of each
   */
  recover(living: (spool: LeftSpool) => boolean, keep = DEFAULT_KEEP): RecoveredRun[] {
    const left = this.#left;
    this.#left = [];
    return left.flatMap((spool) => {
      const run = this.#follow(spool, keep);
      if (run === undefined) return [];
      const alive = living({ ...spool.owner, files: spool.files });
      const { instance, release } = spool.owner;
      this.#options.emit("output_recovered", {
        process: instance,
        ...(release === null ? {} : { release }),
        bytes: run.backlog,
        alive,
      });
      if (!alive) run.end();
      else run.wake();
      return alive ? [{ ...spool.owner, run }] : [];
    });
  }

  /** Opens all log files anew (somebody moved them away). Never rejects. */
  reopen(): Promise<Reopened[]> {
    return this.#pump.run(async () => {
      const reopened: Reopened[] = [];
      for (const log of this.#logs.values()) {
        if (log.file === undefined) continue;
        const error = log.reopen();
        reopened.push(error === undefined ? { file: log.path } : { file: log.path, error });
        await this.#host.turned(log);
      }
      return reopened;
    });
  }

  /** Counters for status and metrics. */
  stats(): OutputStats {
    let backlog_bytes = 0;
    for (const run of this.#runs) backlog_bytes += run.backlog;
    return {
      runs: this.#runs.size,
      lines: this.#lines,
      bytes: this.#bytes,
      lost_lines: this.#loss.lines,
      backlog_bytes,
      followers: this.#feed.followers,
      followers_dropped: this.#feed.dropped,
    };
  }

  /** Resolves when everything printed so far is in the logs, and ended runs are cleared away. */
  async settle(): Promise<void> {
    await Promise.all(Array.from(this.#runs, (run) => run.settle()));
  }

  /**
   * Stops following. Spools of runs that have not ended stay for the next daemon; settle() before,
   * within whatever time there is, if their lines shall be in the log now.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close();
    for (const timer of this.#timers.values()) timer.cancel();
    await this.#pump.close();
    await Promise.all(Array.from(this.#runs, (run) => run.close()));
    for (const spool of this.#left) spool.close();
    this.#feed.close();
    this.#loss.close();
    for (const log of this.#logs.values()) log.close();
  }

  #open(spec: { instance: string; id: string; release?: string }, keep: number): OutputRun {
    const owner = { instance: spec.instance, id: spec.id, release: spec.release ?? null };
    try {
      const spool = Spool.create(this.#options.spool_dir, owner, this.#options.clock.wall());
      const run = this.#follow(spool, keep);
      if (run !== undefined) return run;
    } catch (error) {
      this.#loss.count(owner, 0, `output is not recorded: ${messageOf(error)}`);
    }
    return new UnrecordedRun(this.#recents.use(owner, keep));
  }

  /** Undefined: the spool cannot be read; that is reported. */
  #follow(spool: Spool, keep: number): FollowedRun | undefined {
    const recent = this.#recents.use(spool.owner, keep);
    try {
      const log = this.#logOf(spool.owner.id);
      const run = new FollowedRun({
        host: this.#host,
        spool,
        log,
        recent,
        pump: this.#pump,
        firstData: this.#ground.firstData,
      });
      this.#runs.add(run);
      run.over.then(() => this.#runs.delete(run));
      return run;
    } catch (error) {
      recent.runs--;
      spool.close();
      this.#loss.count(spool.owner, 0, `output is not recorded: ${messageOf(error)}`);
      return undefined;
    }
  }

  #logOf(id: string): OutputLog {
    const known = this.#logs.get(id);
    if (known !== undefined) return known;
    const log = new OutputLog(logPathOf(this.#options.log_dir, id), this.#limits.rotation);
    this.#logs.set(id, log);
    return log;
  }

  #wakeLater(reader: SpoolReader, ms: number): void {
    if (this.#timers.has(reader)) return;
    const timer = this.#options.clock.timer(ms, () => {
      this.#timers.delete(reader);
      this.#pump.wake(reader);
    });
    this.#timers.set(reader, timer);
  }

  #wakeNamed(name: string): void {
    for (const run of this.#runs) if (run.wakeNamed(name)) return;
  }

  #sweep(): boolean {
    let changed = false;
    for (const run of this.#runs) changed = run.wakeChanged() || changed;
    return changed;
  }

  #newHost(): ReaderHost {
    return {
      clock: this.#options.clock,
      limits: this.#limits,
      feed: this.#feed,
      loss: this.#loss,
      punchHole: this.#ground.punchHole,
      turned: async (log) => {
        for (const run of this.#runs) await run.settleIntents(log);
      },
      wakeLater: (reader, ms) => this.#wakeLater(reader, ms),
      count: (lines, bytes) => {
        this.#lines += lines;
        this.#bytes += bytes;
      },
    };
  }
}
