/**
 * The thread of one file: SQLite waits for the disk, and here nobody else waits with it.
 *
 * Invariant: what is said and when stands in messages.ts; an error is an answer, and none ends the
 * thread.
 */

import { Failure, messageOf } from "../../../lib/core/failure.ts";
import type { Batch, GivenJob, Opened, Opening, Refused, Reply } from "./messages.ts";
import { transfers } from "./messages.ts";
import { openDatabase } from "./schema.ts";
import { Store } from "./store.ts";

/** This thread's end of the line to the daemon. */
interface Port {
  onmessage: (message: { data: Opening | Batch }) => void;
  postMessage(message: Opened | Refused | Reply, transfer?: ArrayBuffer[]): void;
  close(): void;
}

const port = self as unknown as Port;
let store: Store | undefined;

port.onmessage = ({ data }) => {
  if ("file" in data) return open(data);
  const reply = store!.run(data);
  if (data.end) store!.close();
  port.postMessage(reply, transfers(payloads(reply)));
  if (data.end) port.close();
};

function open({ file }: Opening): void {
  try {
    const db = openDatabase(file);
    store = new Store(db, sameFile(file));
    port.postMessage({ opened: true, seen: store.seen });
  } catch (error) {
    const fix = error instanceof Failure ? error.fix : undefined;
    port.postMessage({ refused: messageOf(error), fix });
  }
}

/** Whether a path still names what it names now. */
function sameFile(file: string): () => boolean {
  const { dev, ino } = Deno.statSync(file);
  return () => {
    try {
      const now = Deno.statSync(file);
      return now.dev === dev && now.ino === ino;
    } catch {
      return false; // it names nothing any more
    }
  };
}

function* payloads({ answers }: Reply): Generator<Uint8Array<ArrayBuffer>> {
  for (const answer of answers) {
    if (!("value" in answer) || !Array.isArray(answer.value)) continue;
    for (const { payload } of answer.value as GivenJob[]) yield payload;
  }
}
