/**
 * Looking into records whose keys somebody else chose.
 *
 * Invariant: a key that nobody wrote is not there, also one that every object has (`constructor`).
 */

/** The value of a key that was written. */
export function own<T>(record: Readonly<Record<string, T>> | undefined, key: string) {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
