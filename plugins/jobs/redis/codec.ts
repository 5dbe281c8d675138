/**
 * A job as Redis keeps it: an entry of a stream with the fields
 *
 * | field | is                                                                     |
 * | ----- | ---------------------------------------------------------------------- |
 * | `m`   | JSON: id, name, headers, priority, delay, auto_ack, unique             |
 * | `p`   | the payload, as it is                                                  |
 * | `a`   | number of its delivery                                                 |
 * | `e`   | why the one before failed                                              |
 *
 * and as strangers write it into `in`: `payload`, and perhaps `name`, `id`, `headers` (JSON), `priority`,
 * `delay` (seconds).
 *
 * Invariant: what encode() wrote comes out of decode() as it was; anything else is a job or garbage,
 * never an exception.
 */

import { Delivered } from "../delivered.ts";
import type { DeadJob, Job, JobHeaders } from "../driver.ts";

/** As RoadRunner calls what a stranger sent without a name. */
const NO_NAME = "deduced_by_rr";

/** An entry as a script returns it: its id, and names and values in turn. */
export type Entry = readonly [id: Uint8Array, fields: readonly Uint8Array[]];

/** A job that is reserved here, with what Redis has to be told to end it. */
export class Held extends Delivered {
  constructor(
    meta: Meta,
    payload: Uint8Array,
    attempt: number,
    error: string | undefined,
    /** The consumer that has it. */
    readonly consumer: string,
    /** Of the stream in which it is. */
    readonly lane: string,
    readonly entry: string,
  ) {
    super(meta, payload, meta.headers, attempt, error);
  }
}

/** An entry that is no job, as one that only the dead letters get. */
export class Garbage extends Held {
  constructor(
    readonly reason: string,
    fields: Readonly<Record<string, string>>,
    where: { consumer: string; lane: string; entry: string },
  ) {
    const { consumer, lane, entry } = where;
    const meta = { ...NOTHING, id: fields.from ?? entry, priority: Number(lane) };
    super(meta, encoder.encode(JSON.stringify(fields)), 1, undefined, consumer, lane, entry);
  }
}

/** What stands in `m`. */
type Meta = Omit<Job, "payload">;

const NOTHING: Meta = {
  id: "",
  name: NO_NAME,
  headers: {},
  priority: 1,
  delay: 0,
  auto_ack: false,
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** `m` of a job; `headers`: others than it has. */
export function encodeMeta(job: Job, headers: JobHeaders = job.headers): string {
  const { id, name, priority, delay, auto_ack, unique } = job;
  return JSON.stringify({ id, name, headers, priority, delay, auto_ack, unique });
}

/** A text that Redis sent. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The job of an entry that was taken by `consumer` from the stream of priority `lane`. */
export function decode(consumer: string, lane: string, [id, list]: Entry): Held {
  const entry = textOf(id);
  const fields = fieldsOf(list);
  const meta = metaOf(fields, Number(lane));
  const payload = fields.get("p") ?? fields.get("payload");
  if (typeof meta !== "string" && payload !== undefined) {
    const attempt = Number(textOf(fields.get("a") ?? encoder.encode("1")));
    const error = fields.get("e");
    return new Held(
      meta,
      // ioredis cuts answers out of a pool, which would stay as long as any of its jobs.
      new Uint8Array(payload),
      attempt,
      error && textOf(error),
      consumer,
      lane,
      entry,
    );
  }
  const texts = [...fields].map(([name, value]) => [name, textOf(value)]);
  const reason = typeof meta === "string" ? meta : "it has no payload";
  return new Garbage(reason, Object.fromEntries(texts), { consumer, lane, entry });
}

/** The dead letter of an entry. */
export function decodeDead([id, list]: Entry): DeadJob {
  const fields = fieldsOf(list);
  const entry = textOf(id);
  const meta = metaOf(fields, 1);
  return {
    ...typeof meta === "string" ? { ...NOTHING, id: entry } : meta,
    payload: fields.get("p") ?? new Uint8Array(0),
    attempts: Number(textOf(fields.get("a") ?? encoder.encode("1"))),
    error: textOf(fields.get("e") ?? new Uint8Array(0)),
    // Redis makes ids of its clock.
    died_at: Number(entry.split("-")[0]),
  };
}

function fieldsOf(list: readonly Uint8Array[]): Map<string, Uint8Array> {
  const fields = new Map<string, Uint8Array>();
  for (let at = 0; at < list.length; at += 2) fields.set(textOf(list[at]), list[at + 1]);
  return fields;
}

/** @returns or what is wrong with it */
function metaOf(fields: ReadonlyMap<string, Uint8Array>, priority: number): Meta | string {
  const own = fields.get("m");
  if (own !== undefined) {
    const meta = jsonOf(own);
    const isMeta = typeof meta === "object" && meta !== null && "id" in meta && "headers" in meta;
    return isMeta ? meta as Meta : "its description is none of ours";
  }
  const written = fields.get("headers");
  const headers = written === undefined ? {} : headersOf(jsonOf(written));
  if (headers === undefined) return "its headers are no JSON of texts, or lists of them";
  try {
    const text = (name: string) => {
      const bytes = fields.get(name);
      return bytes && strict.decode(bytes);
    };
    const id = text("id") || text("from") || "";
    return { ...NOTHING, id, name: text("name") || NO_NAME, headers, priority };
  } catch {
    return "its name or id is no UTF-8";
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(strict.decode(bytes));
  } catch {
    // Said by the caller.
    return undefined;
  }
}

function headersOf(json: unknown): JobHeaders | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const headers: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(json)) {
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((one) => typeof one === "string")) return undefined;
    headers[name] = list;
  }
  return headers;
}
