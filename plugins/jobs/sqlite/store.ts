/**
 * The jobs of one file: orders in, one transaction, answers out. Runs in the file's own thread.
 *
 * | part of a batch           | when                          | fails                                     |
 * | ------------------------- | ----------------------------- | ----------------------------------------- |
 * | what is written           | all in one transaction        | each is done again alone; those that fail |
 * |                           |                               | alone, too, are answered with the error   |
 * | what follows from it here | after its commit              | –                                         |
 * | what is only looked up    | after that                    | answered with the error                   |
 * | jobs for those who wait   | at the end                    | answered with the error                   |
 *
 * Invariants: nothing is answered before its commit; `#reserved` names rows of `waiting` that somebody
 * has, and nobody else gets them; every row of a pipeline in front of its cursor is reserved.
 */

import type { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../../lib/core/failure.ts";
import type { DriverStat } from "../driver.ts";
import { Lane, type Reserved } from "./lane.ts";
import type { Answer, Batch, Order, PushedJob, ReadOrder, Reply, WriteOrder } from "./messages.ts";
import { buriedJob, headersOf, type Row, Tables, toText } from "./tables.ts";

/** Delayed jobs that fall due in one transaction; more do in the next. */
const MOST_DUE = 5000;
/** After a transaction that failed, delayed jobs are looked at again after this, ms. */
const DUE_AGAIN = 1000;
/** Expired keys forgotten with each that comes. */
const PURGED = 2;

const isWrite = (order: Order): order is WriteOrder =>
  !["stat", "dead", "take", "leave", "back"].includes(order.do);

/** See the file's comment. */
export class Store {
  readonly #db: DatabaseSync;
  readonly #tables: Tables;
  readonly #isThere: () => boolean;
  readonly #lanes = new Map<number, Lane>();
  readonly #names = new Map<string, Lane>();
  readonly #reserved = new Map<number, Reserved>();
  readonly #begin;
  readonly #commit;
  readonly #count;
  /** The last place that was given to a job. */
  #place = 0;
  /** Time of the file when it was opened. */
  readonly seen: number = 0;
  /** Lanes whose counts this transaction changed, as they were. */
  readonly #touched = new Map<Lane, Pick<DriverStat, "waiting" | "delayed" | "dead">>();
  /** What follows from this transaction once it is committed. */
  #then: (() => void)[] = [];
  #now = 0;
  #dueAgainAt = 0;

  /** @param isThere whether the path still names this file */
  constructor(db: DatabaseSync, isThere: () => boolean) {
    this.#db = db;
    this.#tables = new Tables(db);
    this.#isThere = isThere;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#count = db.prepare(
      "UPDATE pipelines SET waiting = ?, delayed = ?, dead = ?, place = ?, seen = ? WHERE id = ?",
    );
    for (const row of db.prepare("SELECT * FROM pipelines").all()) {
      const lane = this.#addLane(row.id as number, row.name as string);
      lane.waiting = row.waiting as number;
      lane.delayed = row.delayed as number;
      lane.dead = row.dead as number;
      lane.nextDue = this.#tables.firstDue(lane.id);
      this.#place = Math.max(this.#place, row.place as number);
      this.seen = Math.max(this.seen, row.seen as number);
    }
  }

  #addLane(id: number, name: string): Lane {
    const lane = new Lane(id, this.#tables, this.#reserved);
    this.#lanes.set(id, lane);
    this.#names.set(name, lane);
    return lane;
  }

  /** Carries orders out. Never throws. */
  run({ now, orders }: Batch): Reply {
    this.#now = now;
    const answers: Answer[] = [];
    const written = this.#write(orders.filter(isWrite), answers);
    for (const order of orders) {
      if (isWrite(order)) continue;
      try {
        this.#read(order, answers);
      } catch (error) {
        if ("n" in order) answers.push({ n: order.n, error: messageOf(error) });
      }
    }
    let wake = Infinity;
    for (const lane of this.#lanes.values()) {
      answers.push(...lane.serve());
      if (lane.takers.size > 0 || lane.nextDue <= now) wake = Math.min(wake, lane.nextDue);
    }
    return {
      answers,
      ...written,
      wake: wake === Infinity ? undefined : Math.max(wake, this.#dueAgainAt),
    };
  }

  close(): void {
    this.#db.close();
  }

  #write(
    orders: WriteOrder[],
    answers: Answer[],
  ): Pick<Reply, "failed" | "wrote" | "gone"> {
    const isDue = this.#now >= this.#dueAgainAt &&
      this.#lanes.values().some(({ nextDue }) => nextDue <= this.#now);
    if (orders.length === 0 && !isDue) return { wrote: false, gone: false };
    const gone = !this.#isThere();
    let whole = this.#transaction(orders, gone, isDue);
    if (typeof whole === "string" && this.#makeRoom(whole)) {
      whole = this.#transaction(orders, gone, isDue);
    }
    if (typeof whole !== "string") {
      answers.push(...whole);
      return { wrote: true, gone };
    }
    if (isDue) this.#dueAgainAt = this.#now + DUE_AGAIN;
    if (/locked/.test(whole)) {
      // Each would wait for the same lock as long as all did together.
      for (const { n } of orders) answers.push({ n, error: whole });
      return { failed: whole, wrote: false, gone };
    }
    let wrote = false;
    let failed: string | undefined = isDue && orders.length === 0 ? whole : undefined;
    for (const order of orders) {
      const alone = this.#transaction([order], gone, false);
      if (typeof alone === "string") {
        failed = alone;
        answers.push({ n: order.n, error: alone });
      } else {
        wrote = true;
        answers.push(...alone);
      }
    }
    return { failed, wrote, gone };
  }

  /** @returns the answers, or why nothing of it was written */
  #transaction(orders: readonly WriteOrder[], gone: boolean, isDue: boolean): Answer[] | string {
    try {
      this.#begin.run();
      if (isDue) this.#fallDue();
      const answers = orders.map((order) => ({ n: order.n, value: this.#carryOut(order, gone) }));
      for (const { waiting, delayed, dead, id } of this.#touched.keys()) {
        this.#count.run(waiting, delayed, dead, this.#place, this.#now, id);
      }
      this.#commit.run();
      this.#touched.clear();
      const then = this.#then;
      this.#then = [];
      for (const follow of then) follow();
      return answers;
    } catch (error) {
      this.#rollBack();
      return messageOf(error);
    }
  }

  #rollBack(): void {
    for (const [lane, counts] of this.#touched) Object.assign(lane, counts);
    this.#touched.clear();
    this.#then = [];
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // It had not begun, or SQLite took it back by itself, as it does when the disk is full.
    }
  }

  /** On a full disk: gives back what the journal takes of it. @returns whether it did */
  #makeRoom(reason: string): boolean {
    if (!/full/.test(reason)) return false;
    try {
      const { busy } = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!;
      return busy === 0;
    } catch {
      return false; // not even for that is there room; whoever asked hears that the disk is full
    }
  }

  #touch(lane: Lane): Lane {
    const { waiting, delayed, dead } = lane;
    if (!this.#touched.has(lane)) this.#touched.set(lane, { waiting, delayed, dead });
    return lane;
  }

  #carryOut(order: WriteOrder, gone: boolean): unknown {
    switch (order.do) {
      case "push":
        // Others go on: what is in the file that is no more can still be worked on.
        if (gone) throw new Error("it was removed or replaced while it was open");
        return this.#push(order.pipeline, order.jobs);
      case "settle":
        return this.#settle(order);
      case "retry":
        return this.#raise(order.pipeline, order.id);
      case "drop":
        return this.#drop(order.pipeline, order.id);
      case "attach":
        return this.#attach(order.name);
      case "touch":
        this.#db.exec("UPDATE pipelines SET seen = seen");
    }
  }

  #attach(name: string): number {
    const text = toText(name);
    const known = this.#names.get(text);
    if (known !== undefined) return known.id;
    const insert = this.#db.prepare("INSERT INTO pipelines (name) VALUES (?) RETURNING id");
    const id = insert.get(text)!.id as number;
    this.#then.push(() => this.#addLane(id, text));
    return id;
  }

  #push(pipeline: number, jobs: readonly PushedJob[]): void {
    const lane = this.#touch(this.#lanes.get(pipeline)!);
    const now = this.#now;
    for (const job of jobs) {
      const { unique, window, delay, priority } = job;
      if (unique !== undefined && window !== undefined) {
        this.#tables.purgeKeys(now, PURGED);
        if (this.#tables.knows(pipeline, unique, now, now + window)) continue;
      }
      const key = ++this.#place;
      this.#tables.addBody(key, job);
      const headers = headersOf(job.headers);
      this.#put(
        lane,
        { pipeline, priority, place: key, body: key, attempt: 1, headers, error: null },
        delay,
      );
    }
  }

  /** Among those that wait, or those that are due later. */
  #put(lane: Lane, row: Row, delay: number): void {
    if (delay > 0) {
      const due = this.#now + delay;
      this.#tables.delay(row, due);
      lane.delayed++;
      // If this is taken back, somebody looks too early once.
      lane.nextDue = Math.min(lane.nextDue, due);
    } else {
      this.#tables.wait(row);
      lane.waiting++;
      this.#then.push(() => lane.rewind(row.priority, row.place));
    }
  }

  #fallDue(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.nextDue > this.#now) continue;
      this.#touch(lane);
      const count = this.#tables.fallDue(lane.id, this.#now, MOST_DUE);
      lane.delayed -= count;
      lane.waiting += count;
      const next = this.#tables.firstDue(lane.id);
      this.#then.push(() => {
        lane.nextDue = next;
        lane.rewind(-1, -1);
      });
    }
  }

  #settle({ key, id, wall, settlement }: Extract<WriteOrder, { do: "settle" }>): boolean {
    const at = this.#reserved.get(key);
    if (at === undefined) return false;
    const { pipeline, priority, place } = at;
    const lane = this.#lanes.get(pipeline)!;
    this.#then.push(() => lane.release(key, at));
    this.#touch(lane);
    if (settlement.kind === "dead") {
      const { error } = settlement;
      this.#tables.bury(at, { place: ++this.#place, id, error, died_at: wall });
      lane.dead++;
    }
    this.#tables.unwait(pipeline, priority, place);
    lane.waiting--;
    if (settlement.kind === "again") {
      const { delay, attempt, error } = settlement;
      const headers = headersOf(settlement.headers);
      const text = error === undefined ? null : toText(error);
      const next = ++this.#place;
      this.#put(
        lane,
        { pipeline, priority, place: next, body: key, attempt, headers, error: text },
        delay,
      );
    } else if (settlement.kind !== "dead") this.#tables.forget(key);
    return true;
  }

  #raise(pipeline: number, id: string): boolean {
    const place = this.#tables.placeOfDead(pipeline, id);
    if (place === undefined) return false;
    const lane = this.#touch(this.#lanes.get(pipeline)!);
    const { priority } = this.#tables.deadOne(pipeline, place);
    const next = ++this.#place;
    this.#tables.raise(pipeline, place, next);
    this.#tables.undead(pipeline, place);
    lane.dead--;
    lane.waiting++;
    this.#then.push(() => lane.rewind(priority, next));
    return true;
  }

  #drop(pipeline: number, id: string): boolean {
    const place = this.#tables.placeOfDead(pipeline, id);
    if (place === undefined) return false;
    const lane = this.#touch(this.#lanes.get(pipeline)!);
    this.#tables.forget(this.#tables.deadOne(pipeline, place).body);
    this.#tables.undead(pipeline, place);
    lane.dead--;
    return true;
  }

  #read(order: ReadOrder, answers: Answer[]): void {
    switch (order.do) {
      case "stat":
        answers.push({ n: order.n, value: this.#lanes.get(order.pipeline)!.stat });
        break;
      case "dead": {
        const { n, pipeline, most, after } = order;
        const from = after === undefined ? 0 : this.#tables.placeOfDead(pipeline, after);
        // Behind one that is no more there is nothing that could be named.
        const rows = from === undefined ? [] : this.#tables.buried(pipeline, from, most);
        answers.push({ n, value: rows.map(buriedJob) });
        break;
      }
      case "take":
        this.#lanes.get(order.pipeline)!.takers.set(order.n, order.most);
        break;
      case "leave":
        for (const { takers } of this.#lanes.values()) takers.delete(order.n);
        break;
      case "back":
        for (const key of order.keys) {
          const at = this.#reserved.get(key);
          if (at !== undefined) this.#lanes.get(at.pipeline)!.release(key, at);
        }
    }
  }
}
