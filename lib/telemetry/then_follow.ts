/**
 * First what was, then what comes: history and a feed as one iterator.
 *
 * Invariant: return() ends a wait for the next item at once (an async generator would queue it behind
 * that wait), and gives both sources up.
 */

/**
 * Iterates `past` to its end, then what `coming` gives.
 *
 * @param coming asked again and again, because the past may have to begin before it is known;
 *   undefined: nothing follows
 */
export function thenFollow<T>(
  past: AsyncIterator<T> | Iterator<T>,
  coming: () => AsyncIterableIterator<T> | undefined,
): AsyncIterableIterator<T> {
  let inPast = true;
  let left = false;
  const over: IteratorResult<T> = { value: undefined, done: true };
  return {
    async next() {
      if (inPast && !left) {
        const item = await past.next();
        if (!item.done) return item;
        inPast = false;
      }
      return left ? over : await coming()?.next() ?? over;
    },
    async return() {
      inPast = false;
      left = true;
      await coming()?.return?.();
      await past.return?.();
      return over;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
