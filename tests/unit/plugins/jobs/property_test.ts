/** Random days of pipelines: whatever happens, every job ends once and none is lost. */

import { assertEquals } from "@std/assert";
import type { PoolErrorKind } from "../../../../lib/pool/types.ts";
import type { FakeCall } from "../http/kit.ts";
import { forSeeds, type Random } from "../../../kit/random.ts";
import { DONE, jobsOf, type JobsPool, say, Stage } from "./kit.ts";

const PIPELINES = {
  plain: {},
  narrow: { parallelism: 2, prefetch: 3, priority: 1 },
  slow: { rate: { jobs: 5, per: 1000 }, dead_letter: "keep" as const },
  strict: {
    retry: { max_attempts: 2, backoff: 10, factor: 1, max_delay: 10, jitter: 0 },
    dead_letter: { pipeline: "plain" },
  },
};
const NAMES = Object.keys(PIPELINES);
const KINDS: PoolErrorKind[] = [
  "worker_error",
  "died",
  "timeout",
  "broken",
  "no_worker",
  "queue_full",
];
const STEPS = 250;

class Day {
  readonly #open = new Map<FakeCall, JobsPool>();
  readonly #seen = new Map<JobsPool, number>();
  readonly #draining: { pool: JobsPool; done: Promise<unknown> }[] = [];
  pushed = 0;
  /** Jobs that a worker said are done. */
  done = 0;

  constructor(readonly stage: Stage, readonly random: Random) {}

  async step(): Promise<void> {
    const { stage, random } = this;
    const deeds: (() => unknown)[] = [
      () => this.#push(),
      () => this.#answer(),
      () => this.#answer(),
      () => this.#answer(),
      () => stage.clock.advance(random.int(0, 1500)),
      () => stage.pool.become(random.int(0, 5)),
      () => this.#toggle(),
    ];
    if (random.chance(0.05)) deeds.push(() => this.#deploy());
    await random.pick(deeds)();
    await stage.settled();
    this.#look();
  }

  async #push(): Promise<void> {
    const { random, stage } = this;
    const delay = random.chance(0.2) ? random.int(1, 2000) : 0;
    const priority = random.int(0, 3);
    await stage.push(`job ${this.pushed++}`, { delay, priority }, random.pick(NAMES));
  }

  #answer(): void {
    const { random } = this;
    const calls = [...this.#open.keys()];
    if (calls.length === 0) return;
    const call = random.pick(calls);
    this.#open.delete(call);
    if (call.cancelled) return;
    const kind = random.int(0, 5);
    if (kind <= 1) return this.#finish(call);
    if (kind === 2) return say(call, { type: 1, data: { message: "no", requeue: false } });
    if (kind === 3) return say(call, { type: 4, data: { delay_seconds: random.int(0, 2) } });
    if (kind === 4) return say(call, "garbage");
    call.fail(random.pick(KINDS));
  }

  #finish(call: FakeCall): void {
    this.done++;
    say(call, DONE);
  }

  async #toggle(): Promise<void> {
    const { engine } = this.stage.intake;
    const { name, consuming } = this.random.pick(engine.pipelines());
    await (consuming ? engine.pause(name) : engine.resume(name));
  }

  async #deploy(): Promise<void> {
    const { stage, random } = this;
    const { intake } = stage;
    const target = intake.gate.live!;
    for (const call of this.#open.keys()) call.waiting = random.chance(0.5);
    const draining = intake.swap(await stage.build());
    if (random.chance(0.5)) draining.cut();
    const done = draining.idle.then(() => intake.drop({ target }));
    this.#draining.push({ pool: stage.pool, done });
  }

  #look(): void {
    for (const pool of this.stage.pools) {
      const from = this.#seen.get(pool) ?? 0;
      for (const call of pool.calls.slice(from)) this.#open.set(call, pool);
      this.#seen.set(pool, pool.calls.length);
    }
    for (const call of this.#open.keys()) if (call.cancelled) this.#open.delete(call);
  }

  /** From now on everything goes well. */
  async end(): Promise<void> {
    const { stage } = this;
    const { engine } = stage.intake;
    for (const { name, consuming } of engine.pipelines()) if (!consuming) await engine.resume(name);
    stage.pool.become(5);
    for (let round = 0; round < 1000; round++) {
      this.#look();
      for (const call of this.#open.keys()) this.#finish(call);
      this.#open.clear();
      await stage.clock.advance(1000);
      this.#look();
      const all = await engine.stat();
      const left = all.reduce(
        (sum, { stat }) => sum + stat!.waiting + stat!.delayed + stat!.reserved,
        0,
      );
      if (left === 0 && this.#open.size === 0) break;
    }
    await Promise.all(this.#draining.map(({ done }) => done));
  }
}

Deno.test("random days: every job is done, given up or a dead letter, once", async () => {
  await forSeeds(30, async (random) => {
    await using stage = new Stage(jobsOf(PIPELINES));
    await stage.intake.start();
    stage.intake.swap(await stage.build());
    const day = new Day(stage, random);
    for (let step = 0; step < STEPS; step++) await day.step();
    await day.end();
    const all = await stage.intake.engine.stat();
    let dead = 0;
    let dropped = 0;
    let done = 0;
    for (const { name, stat, counts, running } of all) {
      const { waiting, delayed, reserved } = stat!;
      assertEquals([name, waiting, delayed, reserved, running], [name, 0, 0, 0, 0]);
      dead += stat!.dead;
      dropped += counts.dropped;
      done += counts.done;
    }
    assertEquals(done, day.done, "done");
    assertEquals(done + dead + dropped, day.pushed, "each ended once");
    assertEquals(stage.events("job_unsettled"), []);
    assertEquals(stage.events("jobs_lost"), []);
  });
});
