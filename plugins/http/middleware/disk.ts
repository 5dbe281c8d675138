/**
 * Access to files for answers, so many at a time: every access holds one of the runtime's few threads,
 * and a disk that hangs must not take all of them.
 *
 * Invariant: at most `MOST` accesses are under way; the others wait in the order they came, at most one
 * for each request.
 */

const MOST = 12;

const waiting: (() => void)[] = [];
let free = MOST;

/** Does something with the disk when it is its turn. */
export async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await work();
  } finally {
    // The turn goes to the next one, or back.
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}
