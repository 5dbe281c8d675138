/**
 * Several addresses that change together: all are bound, or none.
 *
 * Invariant: when one cannot be bound, those before it are let go again; commit and undo reach all.
 */

import type { Rebinding } from "./intake.ts";

/** Binds one; undefined: there is nothing to bind. */
export type BindStep = () => Rebinding | undefined | Promise<Rebinding | undefined>;

/**
 * Binds one after the other.
 * @returns all as one; undefined: there was nothing to bind
 * @throws what a step threw; nothing is bound then
 */
export async function rebindAll(steps: Iterable<BindStep>): Promise<Rebinding | undefined> {
  const done: Rebinding[] = [];
  const undo = () => done.forEach((one) => one.undo());
  try {
    for (const step of steps) {
      const rebinding = await step();
      if (rebinding !== undefined) done.push(rebinding);
    }
  } catch (error) {
    undo();
    throw error;
  }
  if (done.length === 0) return undefined;
  return { commit: () => done.forEach((one) => one.commit()), undo };
}
