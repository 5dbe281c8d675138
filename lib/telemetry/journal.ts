/**
 * The journal: everything that happened, in order, kept for a while and told to whoever follows.
 *
 * Invariant: emit() never throws and never waits. Log, memory and followers get the same record, whose
 * facts are a copy and plain JSON. `seq` counts from 1 without gaps. Memory holds the last
 * JOURNAL_KEPT records; a follower that does not read is dropped with a last record that says so. Events
 * of LOG_ONLY are written to the log and nowhere else; they have the number of the event before them.
 *
 * Receivers (the store on disk, webhooks) get each record after the log, in the same turn.
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
import type { PastQuery } from "./journal_store.ts";
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

/** Somebody who is told of every event. Neither waits nor throws. */
export interface JournalReceiver {
  put(record: EventRecord): void;
}

/** What the journal needs of its store. */
export interface JournalPast {
  past(query: PastQuery): AsyncIterableIterator<EventRecord>;
}

/** Which events are wanted. */
export interface JournalQuery {
  /** At most so many of the past, the newest. Default: all in memory; with `since` all there are. */
  limit?: number;
  /** Milliseconds of wall time; only events from then on. */
  since?: number;
  /** Go on with what happens from now on. */
  follow?: boolean;
}

/** See the file's comment. */
export class Journal {
  readonly #clock: Clock;
  readonly #log: JournalLog;
  readonly #kept: Ring<EventRecord>;
  readonly #feed: Feed<EventRecord>;
  readonly #receivers: JournalReceiver[] = [];
  #store: JournalPast | undefined;
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

  /** From now on this one is told, too. */
  tell(receiver: JournalReceiver): void {
    this.#receivers.push(receiver);
  }

  /** What is older than memory is asked of this one. */
  remember(store: JournalPast): void {
    this.#store = store;
  }

  /** The last events in memory, oldest first. */
  list(limit?: number): EventRecord[] {
    const all = this.#kept.list();
    return limit === undefined ? all : all.slice(Math.max(0, all.length - limit));
  }

  /**
   * The last events and, with `follow`, those to come, without gap or repetition. Begins at this
   * call; ends without an error when `signal` is aborted or the journal is closed.
   */
  query(
    { limit, since, follow }: JournalQuery,
    signal?: AbortSignal,
  ): AsyncIterableIterator<EventRecord> {
    const kept = this.#kept.list();
    const coming = follow ? this.#feed.follow(signal) : undefined;
    const oldest = stamp(since ?? 0);
    const recent = kept.filter(({ at }) => at >= oldest);
    const wanted = limit ?? (since === undefined ? recent.length : Infinity);
    const from = Math.max(0, recent.length - wanted);
    const left = wanted - (recent.length - from);
    const older = left === 0 || recent.length < kept.length
      ? undefined
      : this.#store?.past({ before: kept[0]?.seq, limit: left, since });
    const past = older === undefined ? recent.slice(from).values() : inTurn(older, recent, signal);
    return thenFollow(past, () => coming);
  }

  /** The last events, in memory and on disk, that are wanted; oldest first. */
  async search(wanted: (record: EventRecord) => boolean, limit: number): Promise<EventRecord[]> {
    const kept = this.#kept.list();
    const recent = kept.filter(wanted).slice(-limit);
    const left = limit - recent.length;
    if (left === 0 || this.#store === undefined) return recent;
    const older = this.#store.past({ before: kept[0]?.seq, limit: left, wanted });
    return [...await Array.fromAsync(older), ...recent];
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
    for (const receiver of this.#receivers) receiver.put(record);
    this.#feed.publish(record);
  }

  #make<N extends EventName>(event: N, data: Events[N], seq: number): EventRecord {
    const level = levelOf(event, data);
    return { at: stamp(this.#clock.wall()), seq, level, event, data: plainData(data) };
  }
}

/** What is on disk, then what is in memory; ends early when nobody wants it any more. */
async function* inTurn(
  older: AsyncIterable<EventRecord>,
  recent: readonly EventRecord[],
  signal?: AbortSignal,
): AsyncGenerator<EventRecord> {
  for await (const record of older) {
    if (signal?.aborted) return;
    yield record;
  }
  yield* recent;
}
