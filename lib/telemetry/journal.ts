/**
 * The journal: everything that happened, in order, kept for a while and told to whoever follows.
 *
 * Invariant: emit() never throws and never waits. Log, memory and followers get the same record, whose
 * facts are a copy and plain JSON. `seq` counts from 1 without gaps. Memory holds the last
 * JOURNAL_KEPT records; a follower that does not read is dropped with a last record that says so. Events
 * of LOG_ONLY are written to the log and nowhere else; they have the number of the event before them.
 *
 * A store on disk would be one more receiver of the record in #record, fed through an Outlet.
 */

import { type Clock, stamp } from "../core/clock.ts";
import { Ring } from "../core/ring.ts";
import {
  type Emit,
  type EventName,
  type EventRecord,
  type Events,
  levelOf,
  LOG_ONLY,
} from "./events.ts";
import { Feed } from "./feed.ts";
import { plainData } from "./plain.ts";
import { thenFollow } from "./then_follow.ts";

/** Events kept in memory. */
export const JOURNAL_KEPT = 1000;

/** Weight of a record in a follower's queue besides its facts. Characters. */
const RECORD_WEIGHT = 200;

/** What the journal needs of the log. */
export interface JournalLog {
  write(record: EventRecord): void;
}

/** Which events are wanted. */
export interface JournalQuery {
  /** At most so many of the past, the newest. Default: all that are kept. */
  limit?: number;
  /** Go on with what happens from now on. */
  follow?: boolean;
}

/** See the file's comment. */
export class Journal {
  readonly #clock: Clock;
  readonly #log: JournalLog;
  readonly #kept: Ring<EventRecord>;
  readonly #feed: Feed<EventRecord>;
  #seq = 0;

  /** Tells the journal that something happened. A value, so that it can be passed on by itself. */
  readonly emit: Emit = (event, data) => this.#record(event, data);

  constructor(clock: Clock, log: JournalLog, kept = JOURNAL_KEPT) {
    this.#clock = clock;
    this.#log = log;
    this.#kept = new Ring(kept);
    this.#feed = new Feed(
      (record) => RECORD_WEIGHT + JSON.stringify(record.data).length,
      () => this.#make("follower_dropped", { of: "events" }, this.#seq),
    );
  }

  /** The last events, oldest first. */
  list(limit?: number): EventRecord[] {
    const all = this.#kept.list();
    return limit === undefined ? all : all.slice(Math.max(0, all.length - limit));
  }

  /**
   * The last events and, with `follow`, those to come, without gap or repetition. Begins at this
   * call; ends without an error when `signal` is aborted or the journal is closed.
   */
  query({ limit, follow }: JournalQuery, signal?: AbortSignal): AsyncIterableIterator<EventRecord> {
    const past = this.list(limit);
    const coming = follow ? this.#feed.follow(signal) : undefined;
    return thenFollow(past.values(), () => coming);
  }

  /** Counters for status: followers now, followers dropped, events in all. */
  stats(): { events: number; followers: number; followers_dropped: number } {
    const { followers, dropped } = this.#feed;
    return { events: this.#seq, followers, followers_dropped: dropped };
  }

  /** Ends all followers after what they have queued. Events are still recorded. */
  close(): void {
    this.#feed.close();
  }

  #record<N extends EventName>(event: N, data: Events[N]): void {
    if (LOG_ONLY.has(event)) return this.#log.write(this.#make(event, data, this.#seq));
    const record = this.#make(event, data, ++this.#seq);
    this.#kept.push(record);
    this.#log.write(record);
    this.#feed.publish(record);
  }

  #make<N extends EventName>(event: N, data: Events[N], seq: number): EventRecord {
    const level = levelOf(event, data);
    return { at: stamp(this.#clock.wall()), seq, level, event, data: plainData(data) };
  }
}
