/**
 * What the daemon and the thread of a file say to each other.
 *
 * | step | from   | message                              | then                                          |
 * | ---- | ------ | ------------------------------------ | --------------------------------------------- |
 * | 1    | daemon | Opening                              | the file is opened, or the thread says why not |
 * | 2    | thread | Opened, or Refused and it ends       |                                               |
 * | 3    | daemon | Batch                                | one transaction, then one Reply; again 3      |
 * | 4    | daemon | Batch with `end`, the last           | Reply, the file is closed, the thread ends    |
 *
 * Invariants: a batch is sent when the reply to the one before has come; every order that has a number
 * is answered exactly once, `take` in whatever reply there are jobs for it; an answer to something that
 * was written comes after its commit.
 */

import type { JobHeaders, Settlement } from "../driver.ts";

/** The file, which exists already. */
export interface Opening {
  file: string;
}

/** It is open. */
export interface Opened {
  opened: true;
  /** Time of the file when it was written last, see file.ts. */
  seen: number;
}

/** It cannot be used. */
export interface Refused {
  refused: string;
  fix?: string;
}

/** A job as it is stored. */
export interface StoredJob {
  id: string;
  name: string;
  payload: Uint8Array<ArrayBuffer>;
  headers: JobHeaders;
  priority: number;
  delay: number;
  auto_ack: boolean;
  unique?: string;
}

/** A job as it is pushed. */
export interface PushedJob extends StoredJob {
  /** How long its key counts; undefined: it does not. */
  window?: number;
}

/** A job as it is given out. */
export interface GivenJob extends StoredJob {
  /** What it is settled by. */
  key: number;
  attempt: number;
  error?: string;
}

/** A dead letter as it is shown. */
export interface BuriedJob extends StoredJob {
  attempts: number;
  error: string;
  died_at: number;
}

/** How a delivery ends in the file; what is handed back stands there as before. */
export type Ending = Exclude<Settlement, { kind: "back" }>;

/** What is written. `pipeline`: its number in this file. */
export type WriteOrder =
  /** Answer: nothing. */
  | { do: "push"; n: number; pipeline: number; jobs: PushedJob[] }
  /** Answer: whether it was reserved. `wall`: milliseconds since 1970. */
  | { do: "settle"; n: number; key: number; id: string; wall: number; settlement: Ending }
  /** Answer: whether there was one. */
  | { do: "retry" | "drop"; n: number; pipeline: number; id: string }
  /** Answer: the number of the pipeline of that name. */
  | { do: "attach"; n: number; name: string }
  /** Answer: nothing; whether the file can be written. */
  | { do: "touch"; n: number };

/** What is only looked up, or only remembered. */
export type ReadOrder =
  /** Answer: DriverStat. */
  | { do: "stat"; n: number; pipeline: number }
  /** Answer: BuriedJob[]. */
  | { do: "dead"; n: number; pipeline: number; most: number; after?: string }
  /** Answer, when there are jobs: GivenJob[]. */
  | { do: "take"; n: number; pipeline: number; most: number }
  /** The order `take` of number `n` is withdrawn; it gets no answer any more. */
  | { do: "leave"; n: number }
  /** These wait again as if they had never been taken. No answer. */
  | { do: "back"; keys: number[] };

export type Order = WriteOrder | ReadOrder;

/** Orders, in the order in which they came. */
export interface Batch {
  /** Time of the file, milliseconds. */
  now: number;
  orders: Order[];
  /** Close the file after them. */
  end: boolean;
}

/** To the order of number `n`. */
export type Answer = { n: number; value: unknown } | { n: number; error: string };

/** What came of a batch. */
export interface Reply {
  answers: Answer[];
  /** Why something could not be written, if so. */
  failed?: string;
  /** Something was written. */
  wrote: boolean;
  /** The path names another file now, or none. */
  gone: boolean;
  /** When the thread wants to be asked again at the latest, in time of the file. */
  wake?: number;
}

/** Below this many bytes copying is cheaper than handing over. */
const WORTH_HANDING_OVER = 64 * 1024;

/** Those of the payloads that are handed over instead of copied; they must be whole buffers. */
export function transfers(payloads: Iterable<Uint8Array<ArrayBuffer>>): ArrayBuffer[] {
  const found: ArrayBuffer[] = [];
  for (const { buffer, byteLength } of payloads) {
    if (byteLength >= WORTH_HANDING_OVER && buffer.byteLength === byteLength) found.push(buffer);
  }
  return found;
}
