/**
 * Answers that are lines of JSON: records that are pulled (events, logs), and the progress of
 * something that goes on whoever listens (deploy, rollback).
 *
 * Invariants: nothing here grows for a reader that does not read. Records are taken from their
 * source only as fast as they are sent (the source bounds what waits there), and a reader that takes
 * nothing for `stall` milliseconds while something waits for it loses its source; progress beyond its bound is
 * dropped, its result never. An enqueue() may find out that the reader has gone and call cancel()
 * before it returns: `ended` is looked at again after each. Records end when `closing` is aborted. `onEnd` is called exactly once.
 */

import type { Clock, Timer } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure, failureJson } from "../core/failure.ts";
import { headers } from "./answer.ts";

/** Chunks handed to the server ahead of its demand. */
const AHEAD = 16;

/** Progress lines that wait for a reader; more are dropped. A deploy has tens. */
const PROGRESS_LINES = 1000;

/** What a stream needs from the server. */
export interface StreamHost {
  clock: Clock;
  /** Aborted when the server closes. */
  closing: AbortSignal;
  /** Milliseconds a reader may let records wait. */
  stall: number;
  /** Told of an error that is no Failure: a bug of ours. */
  onBug(error: unknown): void;
  /** Nothing more will be added to the answer. */
  onEnd(): void;
}

type Controller = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

const encoder = new TextEncoder();

/** One record as a line. */
function line(record: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${JSON.stringify(record)}\n`);
}

function answer(source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>): Response {
  const body = new ReadableStream(source, { highWaterMark: AHEAD });
  return new Response(body, { headers: headers("application/x-ndjson") });
}

/**
 * An answer of one record a line. `open` starts the source; the signal it gets is aborted when the
 * reader has gone or the server closes. A source that fails ends the stream with a failure as its
 * last line.
 */
export function records(
  host: StreamHost,
  open: (signal: AbortSignal) => AsyncIterable<unknown>,
): Response {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, host.closing]);
  const source = open(signal)[Symbol.asyncIterator]();
  let controller: Controller;
  let patience: Timer | undefined;
  let ended = false;
  const end = (failure?: unknown) => {
    patience?.cancel();
    if (!ended && failure !== undefined) controller.enqueue(line(failureJson(failure)));
    if (ended) return;
    ended = true;
    controller.close();
    leave();
  };
  const leave = () => {
    host.closing.removeEventListener("abort", onClosing);
    gone.abort();
    // A source that cannot be stopped although nobody reads it any more has no one to be told.
    source.return?.()?.catch(() => {});
    host.onEnd();
  };
  const onClosing = () => end();
  return answer({
    start(given) {
      controller = given;
      host.closing.addEventListener("abort", onClosing, { once: true });
    },
    async pull() {
      patience?.cancel();
      patience = undefined;
      try {
        const next = await source.next();
        if (ended) return;
        if (next.done) return end();
        controller.enqueue(line(next.value));
      } catch (error) {
        if (ended) return;
        tellBug(host, error);
        return end(error);
      }
      if (ended || (controller.desiredSize ?? 0) > 0) return;
      const late = `nothing was read for ${formatDuration(host.stall)}: the stream ends here`;
      patience = host.clock.timer(host.stall, () => end(new Failure(late)));
    },
    cancel() {
      patience?.cancel();
      if (ended) return;
      ended = true;
      leave();
    },
  });
}

/**
 * An answer that tells of work: progress lines, then exactly one
 * `{"type":"result","result":…}`, a FailureJson when the work failed. The work does not end when
 * its reader goes away.
 */
export function progress<P, R>(
  host: StreamHost,
  work: (tell: (step: P) => void) => Promise<R>,
): Response {
  let controller: Controller;
  let ended = false;
  const tell = (step: P) => {
    if (!ended && (controller.desiredSize ?? 0) > AHEAD - PROGRESS_LINES) {
      controller.enqueue(line(step));
    }
  };
  const run = async () => {
    try {
      return await work(tell);
    } catch (error) {
      tellBug(host, error);
      return failureJson(error);
    }
  };
  return answer({
    start(given) {
      controller = given;
      run().then((result) => {
        if (!ended) controller.enqueue(line({ type: "result", result }));
        if (ended) return;
        ended = true;
        controller.close();
        host.onEnd();
      });
    },
    cancel() {
      if (ended) return;
      ended = true;
      host.onEnd();
    },
  });
}

function tellBug(host: StreamHost, error: unknown): void {
  if (!(error instanceof Failure)) host.onBug(error);
}
