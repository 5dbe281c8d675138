/**
 * The statements on the tables of schema.ts, and the form of a job in a row.
 *
 * Invariant: texts of applications lie in the file as JSON, so that a NUL or half a character in them
 * is kept (SQLite's own texts end at a NUL).
 */

import type { DatabaseSync } from "node:sqlite";
import type { JobHeaders } from "../driver.ts";
import type { BuriedJob, GivenJob, StoredJob } from "./messages.ts";

/** A row of `waiting`. */
export interface WaitingRow {
  priority: number;
  place: number;
  body: number;
  attempt: number;
  headers: string;
  error: string | null;
}

/** A row of `bodies`. */
export interface BodyRow {
  head: string;
  payload: Uint8Array<ArrayBuffer>;
}

/** A row of `dead` with its body. */
export interface DeadRow extends BodyRow {
  priority: number;
  attempts: number;
  headers: string;
  error: string;
  died_at: number;
}

/** What never changes of a job. */
type Head = [id: string, name: string, delay: number, auto_ack: 0 | 1, unique?: string];

const NO_HEADERS = "{}";

/** Where a job's row is, and what changes of it. */
export interface Row {
  pipeline: number;
  priority: number;
  place: number;
  body: number;
  attempt: number;
  /** As JSON. */
  headers: string;
  error: string | null;
}

/** The head of a body. */
export function headOf({ id, name, delay, auto_ack, unique }: StoredJob): string {
  const head: Head = [id, name, delay, auto_ack ? 1 : 0];
  if (unique !== undefined) head.push(unique);
  return JSON.stringify(head);
}

/** A text as it lies in the file. */
export const toText = (text: string): string => JSON.stringify(text);

/** Headers as they lie in the file. */
export function headersOf(headers: JobHeaders): string {
  for (const _ in headers) return JSON.stringify(headers);
  return NO_HEADERS;
}

function readHeaders(text: string): JobHeaders {
  return text === NO_HEADERS ? {} : JSON.parse(text);
}

function readBody({ head, payload }: BodyRow) {
  const [id, name, delay, auto_ack, unique] = JSON.parse(head) as Head;
  return { id, name, payload, delay, auto_ack: auto_ack === 1, unique };
}

/** A job to give out. */
export function givenJob(row: WaitingRow, body: BodyRow): GivenJob {
  return {
    ...readBody(body),
    headers: readHeaders(row.headers),
    priority: row.priority,
    key: row.body,
    attempt: row.attempt,
    error: row.error === null ? undefined : JSON.parse(row.error),
  };
}

/** A dead letter to show. */
export function buriedJob(row: DeadRow): BuriedJob {
  const { priority, attempts, died_at } = row;
  const headers = readHeaders(row.headers);
  return { ...readBody(row), headers, priority, attempts, error: JSON.parse(row.error), died_at };
}

/** All statements, prepared. */
export class Tables {
  readonly #body;
  readonly #read;
  readonly #forget;
  readonly #wait;
  readonly #delay;
  readonly #next;
  readonly #unwait;
  readonly #bury;
  readonly #buried;
  readonly #placeOfDead;
  readonly #deadOne;
  readonly #raise;
  readonly #undead;
  readonly #edge;
  readonly #fallDue;
  readonly #undelay;
  readonly #firstDue;
  readonly #keyUntil;
  readonly #keep;
  readonly #purge;

  constructor(db: DatabaseSync) {
    const sql = (text: string) => db.prepare(text);
    this.#body = sql("INSERT INTO bodies VALUES (?, ?, ?)");
    this.#read = sql("SELECT head, payload FROM bodies WHERE key = ?");
    this.#forget = sql("DELETE FROM bodies WHERE key = ?");
    this.#wait = sql("INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#delay = sql("INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    this.#next = sql(
      `SELECT priority, place, body, attempt, headers, error FROM waiting
       WHERE pipeline = ? AND (priority, place) > (?, ?) ORDER BY priority, place LIMIT ?`,
    );
    this.#unwait = sql("DELETE FROM waiting WHERE pipeline = ? AND priority = ? AND place = ?");
    this.#bury = sql(
      `INSERT INTO dead SELECT pipeline, ?, ?, priority, body, attempt, headers, ?, ? FROM waiting
       WHERE pipeline = ? AND priority = ? AND place = ?`,
    );
    this.#buried = sql(
      `SELECT priority, attempts, headers, error, died_at, head, payload
       FROM dead JOIN bodies ON key = body
       WHERE pipeline = ? AND place > ? ORDER BY place LIMIT ?`,
    );
    this.#placeOfDead = sql(
      "SELECT place FROM dead WHERE pipeline = ? AND id = ? ORDER BY place LIMIT 1",
    );
    this.#deadOne = sql(
      "SELECT priority, body, attempts, headers FROM dead WHERE pipeline = ? AND place = ?",
    );
    this.#raise = sql(
      `INSERT INTO waiting SELECT pipeline, priority, ?, body, 1, headers, NULL FROM dead
       WHERE pipeline = ? AND place = ?`,
    );
    this.#undead = sql("DELETE FROM dead WHERE pipeline = ? AND place = ?");
    this.#edge = sql(
      `SELECT due, place FROM delayed WHERE pipeline = ? AND due <= ?
       ORDER BY due, place LIMIT 1 OFFSET ?`,
    );
    this.#fallDue = sql(
      `INSERT INTO waiting SELECT pipeline, priority, place, body, attempt, headers, error
       FROM delayed WHERE pipeline = ? AND (due, place) < (?, ?)`,
    );
    this.#undelay = sql("DELETE FROM delayed WHERE pipeline = ? AND (due, place) < (?, ?)");
    this.#firstDue = sql("SELECT min(due) AS due FROM delayed WHERE pipeline = ?");
    this.#keyUntil = sql("SELECT until FROM keys WHERE pipeline = ? AND key = ?");
    this.#keep = sql("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)");
    this.#purge = sql(
      `DELETE FROM keys WHERE (pipeline, key) IN
       (SELECT pipeline, key FROM keys WHERE until <= ? ORDER BY until LIMIT ?)`,
    );
  }

  addBody(key: number, job: StoredJob): void {
    this.#body.run(key, headOf(job), job.payload);
  }

  /** @throws Error: there is none, so the file is damaged */
  body(key: number): BodyRow {
    const row = this.#read.get(key);
    if (row === undefined) throw new Error(`the file is damaged: job ${key} has no body`);
    return row as unknown as BodyRow;
  }

  forget(key: number): void {
    this.#forget.run(key);
  }

  wait({ pipeline, priority, place, body, attempt, headers, error }: Row): void {
    this.#wait.run(pipeline, priority, place, body, attempt, headers, error);
  }

  delay({ pipeline, priority, place, body, attempt, headers, error }: Row, due: number): void {
    this.#delay.run(pipeline, due, place, priority, body, attempt, headers, error);
  }

  /** What waits behind that place, as it is served. */
  next(pipeline: number, priority: number, place: number, most: number): WaitingRow[] {
    return this.#next.all(pipeline, priority, place, most) as unknown as WaitingRow[];
  }

  unwait(pipeline: number, priority: number, place: number): void {
    this.#unwait.run(pipeline, priority, place);
  }

  /** Copies a waiting one to the dead. */
  bury(
    from: { pipeline: number; priority: number; place: number },
    to: { place: number; id: string; error: string; died_at: number },
  ): void {
    const { pipeline, priority, place } = from;
    const { id, error, died_at } = to;
    this.#bury.run(to.place, toText(id), toText(error), died_at, pipeline, priority, place);
  }

  buried(pipeline: number, after: number, most: number): DeadRow[] {
    return this.#buried.all(pipeline, after, most) as unknown as DeadRow[];
  }

  /** Place of the oldest of that id among the dead. */
  placeOfDead(pipeline: number, id: string): number | undefined {
    return this.#placeOfDead.get(pipeline, toText(id))?.place as number | undefined;
  }

  /** What a dead one was. */
  deadOne(pipeline: number, place: number): { priority: number; body: number } {
    return this.#deadOne.get(pipeline, place) as unknown as { priority: number; body: number };
  }

  /** Copies a dead one to those that wait, as new. */
  raise(pipeline: number, place: number, to: number): void {
    this.#raise.run(to, pipeline, place);
  }

  undead(pipeline: number, place: number): void {
    this.#undead.run(pipeline, place);
  }

  /** Moves up to `most` that are due to those that wait. @returns how many */
  fallDue(pipeline: number, now: number, most: number): number {
    const edge = this.#edge.get(pipeline, now, most) as { due: number; place: number } | undefined;
    const { due, place } = edge ?? { due: now + 1, place: 0 };
    this.#fallDue.run(pipeline, due, place);
    return Number(this.#undelay.run(pipeline, due, place).changes);
  }

  /** When the first of the delayed is due; Infinity: there is none. */
  firstDue(pipeline: number): number {
    return this.#firstDue.get(pipeline)!.due as number | null ?? Infinity;
  }

  /** Whether a key is known; if not, it is from now on. */
  knows(pipeline: number, key: string, now: number, until: number): boolean {
    const text = toText(key);
    const known = this.#keyUntil.get(pipeline, text)?.until as number | undefined;
    if (known !== undefined && known > now) return true;
    this.#keep.run(pipeline, text, until);
    return false;
  }

  /** Forgets some keys whose time is over. */
  purgeKeys(now: number, most: number): void {
    this.#purge.run(now, most);
  }
}
