/** Jobs as drivers hand them out: those that are taken, and dead letters. */

import type { DeadJob, Delivery, Job, JobHeaders } from "./driver.ts";

/** A job that was taken; drivers add what they know of it besides. */
export class Delivered implements Delivery {
  readonly id: string;
  readonly name: string;
  readonly priority: number;
  readonly delay: number;
  readonly auto_ack: boolean;
  readonly unique?: string;

  constructor(
    job: Omit<Job, "payload">,
    readonly payload: Uint8Array,
    readonly headers: JobHeaders,
    readonly attempt: number,
    readonly error: string | undefined,
  ) {
    this.id = job.id;
    this.name = job.name;
    this.priority = job.priority;
    this.delay = job.delay;
    this.auto_ack = job.auto_ack;
    this.unique = job.unique;
  }
}

/** The dead letter of a job. */
export function deadOf(job: Delivery, error: string, died_at: number): DeadJob {
  const { id, name, payload, headers, priority, delay, auto_ack, unique, attempt: attempts } = job;
  return {
    ...{ id, name, payload, headers, priority, delay, auto_ack, unique },
    ...{ attempts, error, died_at },
  };
}
