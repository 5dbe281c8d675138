/** Questions about dead letters that a broker only shows one after the other, from the oldest. */

import { deadOf } from "./delivered.ts";
import type { DeadJob, Delivery } from "./driver.ts";

/** A dead letter at a broker. */
export interface Letter {
  readonly job: Delivery & { readonly died_at?: number };
}

/** Whoever looks at them, one after the other. @returns whether it wants the next */
export type Look<L extends Letter> = (letter: L) => boolean | Promise<boolean>;

/** Shows them. */
type Walk<L extends Letter> = (look: Look<L>) => Promise<void>;

/** Up to `most`, after the one with id `after`. */
export async function listed<L extends Letter>(
  walk: Walk<L>,
  most: number,
  after?: string,
): Promise<DeadJob[]> {
  const jobs: DeadJob[] = [];
  let isPast = after === undefined;
  await walk(({ job }) => {
    if (isPast) jobs.push(deadOf(job, job.error ?? "", job.died_at ?? 0));
    else isPast = job.id === after;
    return jobs.length < most;
  });
  return jobs;
}

/** Ends the oldest of that id by `end`. @returns false: there is none, or `end` did not find it */
export async function ended<L extends Letter>(
  walk: Walk<L>,
  id: string,
  end: (letter: L) => Promise<boolean>,
): Promise<boolean> {
  let isEnded = false;
  await walk(async (letter) => {
    if (letter.job.id !== id) return true;
    isEnded = await end(letter);
    return false;
  });
  return isEnded;
}
