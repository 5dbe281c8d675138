/**
 * A reset: every worker is replaced, new before old.
 *
 * Invariants: who came after it began is not replaced again; a second caller joins the one that is on;
 * the first successor that does not come up ends it, and who has not been replaced stays.
 */

import type { Crew } from "./crew.ts";

/**
 * Replaces all, and waits for the answers of those replaced, `patience` milliseconds at most.
 *
 * @returns how many
 * @throws Failure
 */
export async function roll(crew: Crew, now: number, patience: number): Promise<number> {
  const old = [...crew.workers()];
  // Whoever asks for it has usually mended something: no old failure holds it up.
  crew.pace.forgive();
  const replaced = crew.slots.map((slot) => {
    const done = Promise.withResolvers<void>();
    crew.wish(slot, { why: "reset", since: now, done });
    return done.promise;
  });
  try {
    await Promise.all(replaced);
  } catch (error) {
    for (const slot of crew.slots) if (slot.wish?.why === "reset") slot.wish = undefined;
    throw error;
  }
  for (const worker of old) worker.leave(patience);
  await Promise.all(old.map((worker) => worker.ending));
  return replaced.length;
}
