/**
 * Bounded waiting for something that another process brings about.
 *
 * Invariant: never waits longer than its limit, and a wait that ran out says for what.
 */

/** How long tests wait for something that should happen at once, milliseconds. Generous: it is a bound. */
export const LIMIT = 20_000;

/** Between two looks, milliseconds. */
const LOOK = 10;

/**
 * Waits until `probe` gives something other than undefined or false, and returns that.
 *
 * @throws Error naming `what` after `limit` milliseconds, with the probe's last error
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  limit = LIMIT,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + limit;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      last = undefined;
    } catch (error) {
      // Not there yet; told below if it never comes.
      last = error;
    }
    if (performance.now() > end) {
      const why = last === undefined ? "" : ` (${(last as Error).message})`;
      throw new Error(`waited ${limit} ms in vain: ${what}${why}`);
    }
    await pause(LOOK);
  }
}

/** Waits for `promise`, at most `limit` milliseconds. @throws Error naming `what` */
export async function soon<T>(what: string, promise: Promise<T>, limit = LIMIT): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limit} ms in vain: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets time pass; for intervals between looks, never to "be sure" of something. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
