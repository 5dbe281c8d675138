/**
 * The two kinds of places the daemon's log can go: standard error or output, or a rotating file.
 *
 * Invariant: a write either takes all lines or throws; the file target never throws anything that is
 * not about the file it names.
 */

import type { OutletTarget } from "./outlet.ts";
import type { RotatingFile } from "./rotating_file.ts";

/** The part of Deno.stderr or Deno.stdout that is needed. */
export interface StandardStream {
  write(bytes: Uint8Array): Promise<number>;
  writeSync(bytes: Uint8Array): number;
}

/** Lines to a standard stream. */
export function streamTarget(stream: StandardStream): OutletTarget {
  return {
    async write(lines) {
      for (let done = 0; done < lines.length;) done += await stream.write(lines.subarray(done));
    },
    writeSync(lines) {
      for (let done = 0; done < lines.length;) done += stream.writeSync(lines.subarray(done));
    },
    reopen: () => undefined,
    close() {},
  };
}

/** Lines to a file that is turned over when it is full. */
export function fileTarget(file: RotatingFile): OutletTarget {
  return {
    async write(lines) {
      await file.makeRoom(lines.length);
      const { error } = await file.append(lines);
      if (error !== undefined) throw new Error(error);
    },
    writeSync: (lines) => file.appendSync(lines),
    reopen: () => file.reopen(),
    close: () => file[Symbol.dispose](),
  };
}
