/**
 * The daemon's own log: every event of the catalogue as one line on standard error or in a file.
 *
 * LogTape carries the records (categories, levels, and whatever a library should log through it); the
 * outlet below it makes sure that logging never holds the daemon up.
 *
 * Invariant: write() never waits and never throws. Lines that could not be written are counted, and
 * the log itself says so (`log_lost`) as soon as it can be written again.
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { type Clock, stamp } from "../core/clock.ts";
import type { EventName, Level } from "./events.ts";
import { Outlet, type OutletTarget } from "./outlet.ts";
import { type Render, type Renderable, renderJson, renderReadable } from "./render.ts";
import { RotatingFile, type RotationLimits } from "./rotating_file.ts";
import { fileTarget, type StandardError, stderrTarget } from "./targets.ts";

const CATEGORY = "supervisor";
const RANK: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const LOGTAPE_LEVEL = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** What may change while a log is open. */
export interface LogSettings {
  /** Events below it are not written. */
  level: Level;
  /** Write to this file; undefined: to standard error. */
  file?: string;
  /** When the file is turned over. Default 10 × 20 MB. */
  limits?: RotationLimits;
  /** The readable form instead of JSON. Default: standard error is a terminal. */
  readable?: boolean;
}

/** How a log is opened. */
export interface LogOptions extends LogSettings {
  clock: Clock;
  /** Default: Deno.stderr. */
  stderr?: StandardError;
  /** Colours in the readable form. Default: on a terminal, unless NO_COLOR is set. */
  colour?: boolean;
}

/** What happened to one log file on reopen. */
export interface Reopened {
  file: string;
  /** Why the old one is still in use. */
  error?: string;
}

/** See the file's comment. One at a time: LogTape's configuration belongs to the process. */
export class Log implements AsyncDisposable {
  /** Events below it are not written. */
  level: Level;
  readonly #options: LogOptions;
  readonly #outlet: Outlet;
  readonly #clock: Clock;
  #settings: LogSettings;
  #render: Render;

  private constructor(options: LogOptions, outlet: (log: Log) => Outlet) {
    this.level = options.level;
    this.#options = options;
    this.#settings = options;
    this.#clock = options.clock;
    this.#outlet = outlet(this);
    this.#render = renderOf(options);
  }

  /** @throws Failure when the file cannot be opened. */
  static open(options: LogOptions): Log {
    const log = new Log(options, (log) =>
      new Outlet(
        targetOf(options, options),
        options.clock,
        (lines, reason) => log.#put("warn", "log_lost", { lines, reason }),
      ));
    configureSync({
      reset: true,
      sinks: { outlet: (record) => log.#take(record) },
      loggers: [
        { category: CATEGORY, lowestLevel: "debug", sinks: ["outlet"] },
        { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["outlet"] },
      ],
    });
    return log;
  }

  /** Where it is written; undefined: to standard error. */
  get file(): string | undefined {
    return this.#settings.file;
  }

  /**
   * Opens what other settings write to; nothing of them is in use before commit().
   * @throws Failure when the file cannot be opened
   */
  rebind(next: LogSettings): { commit(): void; undo(): void } {
    const { file, limits } = this.#settings;
    const stays = next.file === file && next.limits?.bytes === limits?.bytes &&
      next.limits?.files === limits?.files;
    const target = stays ? undefined : targetOf(next, this.#options);
    return {
      commit: () => {
        this.#settings = next;
        this.level = next.level;
        this.#render = renderOf({ ...next, colour: this.#options.colour });
        if (target !== undefined) this.#outlet.use(target);
      },
      undo: () => target?.close(),
    };
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#outlet.lost;
  }

  /** Writes one event, if its level is high enough. */
  write(record: Renderable): void {
    if (RANK[record.level] < RANK[this.level]) return;
    getLogger(CATEGORY).emit({
      level: LOGTAPE_LEVEL[record.level],
      timestamp: Date.parse(record.at),
      message: [record.event],
      rawMessage: record.event,
      properties: { ...record },
    });
  }

  /** Opens the log file anew: the new one before the old one is closed. Never rejects. */
  async reopen(): Promise<Reopened[]> {
    const { file } = this;
    if (file === undefined) return [];
    const error = await this.#outlet.reopen();
    return [error === undefined ? { file } : { file, error }];
  }

  /** Resolves when everything written so far is out (or lost and counted). */
  flush(): Promise<void> {
    return this.#outlet.flush();
  }

  /** Writes at once what waits: for a process that is about to die. */
  flushSync(): void {
    this.#outlet.flushSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    resetSync();
    await this.#outlet[Symbol.asyncDispose]();
  }

  /** The sink: our events as they are, anything else that reaches LogTape as an internal error. */
  #take(record: LogRecord): void {
    if (record.category[0] === CATEGORY && typeof record.properties.event === "string") {
      this.#outlet.put(this.#render(record.properties as unknown as Renderable));
      return;
    }
    const where = record.category.join(".");
    this.#put("error", "internal_error", { where, error: record.message.map(String).join("") });
  }

  #put(level: Level, event: EventName, data: Record<string, unknown>): void {
    this.#outlet.put(this.#render({ at: stamp(this.#clock.wall()), level, event, data }));
  }
}

function targetOf({ file, limits }: LogSettings, { stderr }: LogOptions): OutletTarget {
  return file === undefined
    ? stderrTarget(stderr ?? Deno.stderr)
    : fileTarget(RotatingFile.open(file, limits));
}

function renderOf(
  { file, readable, colour }: Pick<LogOptions, "file" | "readable" | "colour">,
): Render {
  const terminal = file === undefined && Deno.stderr.isTerminal();
  if (!(readable ?? terminal)) return renderJson;
  return renderReadable(colour ?? (terminal && !Deno.env.get("NO_COLOR")));
}
