/**
 * A reader that leaves in the very moment in which something is sent: the runtime's own consumer of a
 * stream then calls cancel() from inside enqueue(). No public reader can, so a stand-in does here.
 */

import { assertEquals } from "@std/assert";
import { progress, records, type StreamHost } from "../../../lib/control/stream.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";

type Source = UnderlyingDefaultSource<Uint8Array>;

/** Replaces ReadableStream while `work` runs. @returns the source that the stream was made of */
function withLeavingReader(work: () => void): Source {
  const real = globalThis.ReadableStream;
  let made: Source | undefined;
  class Leaving {
    constructor(source: Source) {
      made = source;
      let open = true;
      const refuse = () => {
        if (!open) throw new TypeError("The stream controller cannot close or enqueue");
      };
      const controller = {
        get desiredSize() {
          return open ? 1 : null;
        },
        enqueue() {
          refuse();
          open = false;
          source.cancel?.("gone");
        },
        close: refuse,
      };
      source.start?.(controller as unknown as ReadableStreamDefaultController<Uint8Array>);
    }
  }
  globalThis.ReadableStream = Leaving as unknown as typeof ReadableStream;
  try {
    work();
  } finally {
    globalThis.ReadableStream = real;
  }
  return made!;
}

function host(): StreamHost & { ends: number; bugs: unknown[]; clock: ManualClock } {
  const self = {
    clock: new ManualClock(),
    closing: new AbortController().signal,
    stall: 1000,
    ends: 0,
    bugs: [] as unknown[],
    onBug: (error: unknown) => void self.bugs.push(error),
    onEnd: () => void self.ends++,
  };
  return self;
}

Deno.test("progress: the reader leaves with the result", async () => {
  const told = host();
  withLeavingReader(() => void progress(told, () => Promise.resolve("done")));
  await turn();
  assertEquals([told.ends, told.bugs], [1, []]);
});

Deno.test("progress: the reader leaves with a step; the work goes on untroubled", async () => {
  const told = host();
  let ended = false;
  withLeavingReader(() =>
    void progress(told, async (tell) => {
      await turn();
      tell("one");
      tell("two");
      ended = true;
    })
  );
  await turn();
  await turn();
  assertEquals([ended, told.ends, told.bugs], [true, 1, []]);
});

Deno.test("records: the reader leaves with a record; the source ends, no timer stays", async () => {
  const told = host();
  let returned = 0;
  const source = withLeavingReader(() =>
    void records(told, () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ value: 1, done: false }),
        return: () => {
          returned++;
          return Promise.resolve({ value: undefined, done: true });
        },
      }),
    }))
  );
  await source.pull?.(undefined as never);
  assertEquals([returned, told.ends, told.clock.pending], [1, 1, 0]);
});

Deno.test("records: the reader leaves with the failure of the source", async () => {
  const told = host();
  const source = withLeavingReader(() =>
    void records(told, () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new RangeError("a bug")) }),
    }))
  );
  await source.pull?.(undefined as never);
  assertEquals([told.ends, told.bugs.length], [1, 1]);
});
