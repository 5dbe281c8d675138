/**
 * A reset: every worker is replaced, new before old.
 *
 * | who … when it begins | is replaced                                                         |
 * | -------------------- | ------------------------------------------------------------------- |
 * | rests, or is missing | first: these wait for nobody                                        |
 * | is busy              | then: one of them may be waiting for this very reset                |
 *
 * Invariants: who came after it began is not replaced again; a second caller joins the one that is on;
 * the first successor that does not come up ends it, and who has not been replaced stays; nobody who was
 * replaced holds it up for longer than `reset_timeout`.
 */

import type { Crew } from "./crew.ts";
import type { Slot } from "./slot.ts";
import type { PoolSettings } from "./types.ts";
import type { Worker } from "./worker.ts";

/** A reset. */
export interface Roll {
  readonly over: boolean;
  /** Those who rested are replaced, or it has ended. Never rejects. */
  readonly rested: Promise<void>;
  /** How many were replaced, when the answers of all of them are out. @throws Failure */
  readonly done: Promise<number>;
}

/** Replaces all. */
export function roll(
  crew: Crew,
  { reset_timeout }: Pick<PoolSettings, "reset_timeout">,
  now: number,
): Roll {
  const rested = Promise.withResolvers<void>();
  let over = false;
  const done = replaceAll(crew, reset_timeout, now, rested.resolve).finally(() => {
    over = true;
    rested.resolve();
  });
  return {
    rested: rested.promise,
    done,
    get over() {
      return over;
    },
  };
}

async function replaceAll(
  crew: Crew,
  patience: number,
  now: number,
  rested: () => void,
): Promise<number> {
  const old = [...crew.workers()];
  const places = crew.slots.map((slot) => ({ slot, worker: slot.worker }));
  const busy = places.filter(({ worker }) => worker?.busy);
  const free = places.filter((place) => !busy.includes(place));
  const hurried = new Set<Worker>();
  // Who answers on counts as one too many: nobody may be started in another's stead meanwhile.
  const hurry = () => {
    for (const worker of crew.leavers) {
      if (hurried.has(worker)) continue;
      hurried.add(worker);
      worker.leave(patience);
    }
  };
  const replace = async ({ slot, worker }: { slot: Slot; worker: Worker | undefined }) => {
    if (!crew.slots.includes(slot)) return;
    if (slot.worker !== undefined && slot.worker !== worker) return;
    const done = Promise.withResolvers<void>();
    crew.wish(slot, { why: "reset", since: now, done });
    await done.promise;
    hurry();
  };
  // Whoever asks for it has usually mended something: no old failure holds it up.
  crew.pace.forgive();
  hurry();
  try {
    await Promise.all(free.map(replace));
    rested();
    await Promise.all(busy.map(replace));
  } catch (error) {
    for (const slot of crew.slots) if (slot.wish?.why === "reset") slot.wish = undefined;
    throw error;
  }
  await Promise.all(old.map((worker) => worker.ending));
  return places.length;
}
