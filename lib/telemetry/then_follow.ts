/**
 * First what was, then what comes: history and a feed as one iterator.
 *
 * Invariant: return() ends a wait for the next item at once (an async generator would queue it behind
 * that wait), and gives both sources up.
 */

/** Iterates `past` to its end, then `coming` (undefined: nothing follows). */
export function thenFollow<T>(
  past: AsyncIterator<T> | Iterator<T>,
  coming: AsyncIterableIterator<T> | undefined,
): AsyncIterableIterator<T> {
  let inPast = true;
  const over: IteratorResult<T> = { value: undefined, done: true };
  return {
    async next() {
      if (inPast) {
        const item = await past.next();
        if (!item.done) return item;
        inPast = false;
      }
      return coming === undefined ? over : await coming.next();
    },
    async return() {
      inPast = false;
      await coming?.return?.();
      await past.return?.();
      coming = undefined;
      return over;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
