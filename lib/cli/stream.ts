/**
 * Records as they come: what logs and events share.
 *
 * Invariant: Ctrl-C and a reader that has gone are good ends (exit 0); a daemon that dies is not.
 */

import { Exit, type ExitCode } from "../core/failure.ts";
import type { Call } from "./command.ts";

/**
 * Prints each record of a source: as text, or with --json one a line.
 *
 * @param json a record as JSON, when it is not the record itself
 */
export async function show<T>(
  call: Call,
  follow: boolean,
  open: (signal: AbortSignal) => AsyncIterable<T>,
  render: (record: T) => string,
  json: (record: T) => string = JSON.stringify,
): Promise<ExitCode> {
  const { out } = call;
  const end = follow ? AbortSignal.any([call.interrupt(), out.gone]) : out.gone;
  for await (const record of open(end)) {
    await out.data(out.json ? `${json(record)}\n` : render(record));
  }
  if (follow && !end.aborted) await out.talk("the daemon has ended this stream\n");
  return Exit.done;
}
