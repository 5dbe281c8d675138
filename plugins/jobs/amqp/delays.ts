/**
 * Delayed jobs lie in queues of RabbitMQ whose messages expire into the pipeline's own: one queue for
 * each length of delay, so that nobody waits for another in front of him.
 *
 * | delay up to | is made a multiple of | queues, at most |
 * | ----------- | --------------------- | --------------- |
 * | 10 s        | 0.1 s                 | 100             |
 * | 10 min      | 1 s                   | 590             |
 * | 2 h         | 10 s                  | 660             |
 * | 2 days      | 1 min                 | 2760            |
 * | 24 days     | 1 h                   | 528             |
 *
 * Invariants: a job is never early, and late by less than the step above; a queue that nobody put
 * anything into for twice its delay and a day is removed by RabbitMQ, and never one with a job in it:
 * it is used (Session.lease) long before that; a job that is due has left its queue only when the
 * pipeline's has confirmed it, where RabbitMQ can do that (CONFIRMING).
 */

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

/**
 * Since this version queues can be told not to let go of what expires before it was confirmed. Older
 * ones lose, when they stop or crash, what becomes due in that moment.
 */
const CONFIRMING = [3, 10];

/** Longest delay: what RabbitMQ's timers hold, twice. */
export const MAX_DELAY = 24 * DAY;

const STEPS: readonly (readonly [upTo: number, step: number])[] = [
  [10 * SECOND, 100],
  [600 * SECOND, SECOND],
  [2 * HOUR, 10 * SECOND],
  [2 * DAY, 60 * SECOND],
  [MAX_DELAY, HOUR],
];

/**
 * Kept beyond twice the delay, ms. RabbitMQ removes a queue with all that is in it, and what is due may
 * still be there: while RabbitMQ was away, and until it tries again what the pipeline's queue did not
 * confirm.
 */
const SPARE = DAY;

/** Looked at beyond the delay, ms. */
const LOOKED_AT = 60 * SECOND;

/** The delay that a queue has for it; longer ones than MAX_DELAY become that. */
export function rounded(delay: number): number {
  const [, step] = STEPS.find(([upTo]) => delay <= upTo) ?? [0, MAX_DELAY];
  return Math.min(MAX_DELAY, Math.ceil(delay / step) * step);
}

/** A queue for one length of delay. */
export interface DelayQueue {
  readonly name: string;
  readonly delay: number;
  /** As RabbitMQ of that version is told it. */
  options(version: string): { durable: boolean; arguments: Record<string, unknown> };
}

const CONFIRMED = {
  "x-queue-type": "quorum",
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
} as const;

function confirms(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major > CONFIRMING[0] || (major === CONFIRMING[0] && minor >= CONFIRMING[1]);
}

/** The queue for that delay in front of `queue`. */
export function delayQueue(queue: string, delay: number): DelayQueue {
  const ms = rounded(delay);
  return {
    name: `${queue}.delayed.${ms}`,
    delay: ms,
    options: (version) => ({
      durable: true,
      arguments: {
        ...confirms(version) && CONFIRMED,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-message-ttl": ms,
        "x-expires": 2 * ms + SPARE,
      },
    }),
  };
}

/** How long after a lease jobs may be put into it: they are out before it may be removed. */
export function leaseOf({ delay }: DelayQueue): number {
  return delay / 2 + SPARE / 3;
}

/** Delay queues that may have jobs of ours in them. */
export class Delayed {
  readonly #known = new Map<string, { queue: DelayQueue; since: number }>();

  /** Something is put into them now. */
  use(queues: Iterable<DelayQueue>, now: number): void {
    for (const queue of queues) this.#known.set(queue.name, { queue, since: now });
  }

  /** Those that may have; the others are forgotten. */
  at(now: number): DelayQueue[] {
    for (const [name, { queue, since }] of this.#known) {
      if (now - since > queue.delay + LOOKED_AT) this.#known.delete(name);
    }
    return [...this.#known.values()].map(({ queue }) => queue);
  }
}
