/**
 * The daemon's own log: every event of the catalogue as one line, on standard error, in files, or
 * where the settings of its channel say.
 *
 * LogTape carries the records (categories, levels, and whatever a library should log through it); the
 * places below it make sure that logging never holds the daemon up.
 *
 * Invariant: write() never waits and never throws. Lines that could not be written are counted, and
 * the place itself says so (`log_lost`) as soon as it can be written again.
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { type Clock, stamp } from "../core/clock.ts";
import type { Level } from "./events.ts";
import { isStream, LogPlaces, type Reopened, type Wanted } from "./log_places.ts";
import type { Outlet } from "./outlet.ts";
import { type Render, type Renderable, renderJson, renderReadable, withCrLf } from "./render.ts";
import { ROTATION, type RotationLimits } from "./rotating_file.ts";
import type { StandardStream } from "./targets.ts";

export type { Reopened } from "./log_places.ts";

const CATEGORY = "supervisor";
const RANK: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const LOGTAPE_LEVEL = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** Which events are written, where, and how. */
export interface RouteSettings {
  /** Events below it are not written. */
  level: Level;
  /** `stderr`, `stdout` and paths of files; each event goes to all. Default: standard error. */
  places?: readonly string[];
  /** When its files are turned over. Default 10 × 20 MB. */
  limits?: RotationLimits;
  /** The readable form instead of JSON. Default: it goes to a terminal. */
  readable?: boolean;
  /** Lines end with CR LF. */
  crlf?: boolean;
}

/** What may change while a log is open. */
export interface LogSettings extends RouteSettings {
  /** Channels that have settings of their own; all else is written as these settings say. */
  channels?: ReadonlyMap<string, RouteSettings>;
  /** The channel of an event. */
  channelOf?(record: Renderable): string | undefined;
}

/** How a log is opened. */
export interface LogOptions extends LogSettings {
  clock: Clock;
  /** Default: Deno.stderr. */
  stderr?: StandardStream;
  /** Default: Deno.stdout. */
  stdout?: StandardStream;
  /** Colours in the readable form. Default: on a terminal, unless NO_COLOR is set. */
  colour?: boolean;
}

/** A route that is in use. */
interface Route {
  level: Level;
  ways: readonly { place: string; outlet: Outlet; render: Render }[];
}

/** See the file's comment. One at a time: LogTape's configuration belongs to the process. */
export class Log implements AsyncDisposable {
  readonly #options: LogOptions;
  readonly #places: LogPlaces;
  #settings: LogSettings;
  #main: Route = { level: "info", ways: [] };
  #channels: ReadonlyMap<string, Route> = new Map();

  private constructor(options: LogOptions) {
    const { clock, stderr = Deno.stderr, stdout = Deno.stdout } = options;
    this.#options = options;
    this.#settings = options;
    const onBack = (place: string, lines: number, reason: string) =>
      this.#lost(place, { lines, reason });
    this.#places = new LogPlaces({ clock, stderr, stdout, onBack });
  }

  /** @throws Failure when a file cannot be opened. */
  static open(options: LogOptions): Log {
    const log = new Log(options);
    log.rebind(options).commit();
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

  /** The first file that events without a channel go to; undefined: none. */
  get file(): string | undefined {
    return placesOf(this.#settings).find((place) => !isStream(place));
  }

  /**
   * Opens what other settings write to; nothing of them is in use before commit().
   * @throws Failure when a file cannot be opened
   */
  rebind(next: LogSettings): { commit(): void; undo(): void } {
    const { commit, undo } = this.#places.prepare(wantedOf(next));
    return {
      commit: () => {
        commit();
        this.#settings = next;
        this.#main = this.#routeOf(next);
        const channels = [...next.channels ?? []];
        this.#channels = new Map(channels.map(([name, one]) => [name, this.#routeOf(one)]));
      },
      undo,
    };
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#places.lost;
  }

  /** Writes one event, if its level is high enough. */
  write(record: Renderable): void {
    if (RANK[record.level] < RANK[this.#routeFor(record).level]) return;
    getLogger(CATEGORY).emit({
      level: LOGTAPE_LEVEL[record.level],
      timestamp: Date.parse(record.at),
      message: [record.event],
      rawMessage: record.event,
      properties: { ...record },
    });
  }

  /** Opens all log files anew: each new one before its old one is closed. Never rejects. */
  reopen(): Promise<Reopened[]> {
    return this.#places.reopen();
  }

  /** Resolves when everything written so far is out (or lost and counted). */
  flush(): Promise<void> {
    return this.#places.flush();
  }

  /** Writes at once what waits: for a process that is about to die. */
  flushSync(): void {
    this.#places.flushSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    resetSync();
    await this.#places[Symbol.asyncDispose]();
  }

  /** The sink: our events as they are, anything else that reaches LogTape as an internal error. */
  #take(record: LogRecord): void {
    if (record.category[0] === CATEGORY && typeof record.properties.event === "string") {
      const event = record.properties as unknown as Renderable;
      put(this.#routeFor(event), event);
      return;
    }
    const where = record.category.join(".");
    const error = record.message.map(String).join("");
    const at = stamp(this.#options.clock.wall());
    put(this.#main, { at, level: "error", event: "internal_error", data: { where, error } });
  }

  /** Told in the place itself, and nowhere else: others have no gap. */
  #lost(place: string, data: { lines: number; reason: string }): void {
    const ways = [this.#main, ...this.#channels.values()].flatMap(({ ways }) => ways);
    const way = ways.find((way) => way.place === place);
    const at = stamp(this.#options.clock.wall());
    way?.outlet.put(way.render({ at, level: "warn", event: "log_lost", data }));
  }

  #routeFor(record: Renderable): Route {
    if (this.#channels.size === 0) return this.#main;
    const channel = this.#settings.channelOf?.(record) ?? "";
    return this.#channels.get(channel) ?? this.#main;
  }

  #routeOf(settings: RouteSettings): Route {
    const ways = placesOf(settings).map((place) => ({
      place,
      outlet: this.#places.outlet(place),
      render: renderOf(place, settings, this.#options.colour),
    }));
    return { level: settings.level, ways };
  }
}

function put({ ways }: Route, record: Renderable): void {
  for (const { outlet, render } of ways) outlet.put(render(record));
}

function placesOf({ places }: RouteSettings): string[] {
  return [...new Set(places ?? ["stderr"])];
}

/** Every place of all routes. A file that several name is turned over as the first says. */
function wantedOf(settings: LogSettings): Wanted {
  const wanted = new Map<string, RotationLimits | undefined>();
  for (const route of [settings, ...settings.channels?.values() ?? []]) {
    for (const place of placesOf(route)) {
      if (wanted.has(place)) continue;
      wanted.set(place, isStream(place) ? undefined : route.limits ?? ROTATION);
    }
  }
  return wanted;
}

function renderOf(place: string, { readable, crlf }: RouteSettings, colour?: boolean): Render {
  const terminal = isTerminal(place);
  const render = readable ?? terminal
    ? renderReadable(colour ?? (terminal && !Deno.env.get("NO_COLOR")))
    : renderJson;
  return crlf ? withCrLf(render) : render;
}

function isTerminal(place: string): boolean {
  if (!isStream(place)) return false;
  return place === "stderr" ? Deno.stderr.isTerminal() : Deno.stdout.isTerminal();
}
