/**
 * What the conformance suite knows of a driver: how to make one, and how to have its time.
 *
 * Invariant: a bench is one place where jobs lie (a file, a broker's queue); what it opens is closed
 * at its end.
 */

import { JOB_DRIVERS, JOBS, PIPELINE } from "../../../../../lib/config/defaults.ts";
import type { PipelineConfig } from "../../../../../lib/config/roadrunner/jobs.ts";
import type {
  Abilities,
  Delivery,
  Driver,
  Job,
  Settlement,
} from "../../../../../plugins/jobs/driver.ts";

/** A place for the jobs of one test. */
export interface Bench extends AsyncDisposable {
  /** A driver on this place, open; a second one closes the first: it is the next life of a daemon. */
  open(pipeline?: string, more?: Partial<PipelineConfig>): Promise<Driver>;
  /** Lets that time pass for the driver, and whatever it does then happen. */
  pass(ms: number): Promise<void>;
}

/** A driver as the suite sees it. */
export interface Candidate {
  readonly name: string;
  readonly can: Abilities;
  /** Milliseconds that stand for a second: fewer where the driver's time is not ours to move. */
  readonly second?: number;
  /** Bytes of the largest payload its broker takes, where 50 MB are too many for it. */
  readonly max_payload?: number;
  bench(): Bench | Promise<Bench>;
}

/** Settings of a pipeline with every default. */
export function settingsOf(more: Partial<PipelineConfig> = {}): PipelineConfig {
  return { ...PIPELINE, driver: "memory", config: JOB_DRIVERS.memory, ...more };
}

/** The section's defaults, for those who need more of it. */
export { JOBS };

let made = 0;

/** A job; its payload says its id. */
export function jobOf(more: Partial<Job> = {}): Job {
  const id = more.id ?? `job-${++made}`;
  return {
    id,
    name: "App\\Job",
    payload: new TextEncoder().encode(id),
    headers: {},
    priority: 10,
    delay: 0,
    auto_ack: false,
    ...more,
  };
}

const NEVER = new AbortController().signal;

/** Takes up to `most`, as ids in their order. */
export async function takeIds(driver: Driver, most: number): Promise<string[]> {
  return (await driver.take(most, NEVER)).map(({ id }) => id);
}

/** Takes one. */
export async function takeOne(driver: Driver): Promise<Delivery> {
  const [one] = await driver.take(1, NEVER);
  return one;
}

/** Takes exactly `count`, however many come at a time. */
export async function takeAll(driver: Driver, count: number): Promise<Delivery[]> {
  const all: Delivery[] = [];
  while (all.length < count) all.push(...await driver.take(count - all.length, NEVER));
  return all;
}

/** Takes one and ends it. */
export async function settleOne(driver: Driver, settlement: Settlement): Promise<Delivery> {
  const one = await takeOne(driver);
  await driver.settle(one, settlement);
  return one;
}

/** Redelivery. */
export function again(more: Partial<Extract<Settlement, { kind: "again" }>> = {}): Settlement {
  return { kind: "again", delay: 0, headers: {}, attempt: 2, ...more };
}

/** Whether there is nothing to take now. */
export async function isEmpty(driver: Driver): Promise<boolean> {
  const { waiting } = await driver.stat();
  return waiting === 0;
}
