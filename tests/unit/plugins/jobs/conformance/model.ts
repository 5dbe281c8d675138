/**
 * The driver's contract as a small model, and random events that both live through.
 *
 * Invariant: the model has no cleverness: lists that are searched, so that it is right at a glance.
 */

import { assertEquals } from "@std/assert";
import type { Abilities, Delivery, Driver } from "../../../../../plugins/jobs/driver.ts";
import { forSeeds, type Random } from "../../../../kit/random.ts";
import { again, type Bench, type Candidate, jobOf, takeAll } from "./kit.ts";

/** A job as the model knows it. */
interface Known {
  id: string;
  priority: number;
  attempt: number;
  seq: number;
  due: number;
}

class Model {
  now = 0;
  seq = 0;
  waiting: Known[] = [];
  reserved = new Map<string, Known>();
  dead: Known[] = [];

  /** Those that are due, in their order. */
  get due(): Known[] {
    return this.waiting.filter(({ due }) => due <= this.now)
      .sort((a, b) => a.priority - b.priority || a.seq - b.seq);
  }

  get stat() {
    const waiting = this.due.length;
    return {
      waiting,
      delayed: this.waiting.length - waiting,
      reserved: this.reserved.size,
      dead: this.dead.length,
    };
  }
}

const STEPS = 120;

/** Lets a driver and the model live through the same events. */
export async function againstModel(bench: Bench, candidate: Candidate): Promise<void> {
  // Where the driver's time is not ours, nothing is exact enough for a model with delays.
  const isTimed = candidate.second === undefined;
  const can = { ...candidate.can, delay: candidate.can.delay && isTimed };
  await forSeeds(isTimed ? 8 : 3, async (random, seed) => {
    await using driver = await bench.open(`model-${seed}`);
    const life = new Life(driver, bench, can, random);
    for (let step = 0; step < STEPS; step++) {
      await life.step();
      assertEquals(await driver.stat(), life.model.stat, `step ${step}`);
    }
  });
}

class Life {
  readonly model = new Model();
  readonly #held = new Map<string, Delivery>();
  #made = 0;

  constructor(
    readonly driver: Driver,
    readonly bench: Bench,
    readonly can: Abilities,
    readonly random: Random,
  ) {}

  async step(): Promise<void> {
    const { random } = this;
    const deeds = [() => this.push(), () => this.take(), () => this.settle(), () => this.settle()];
    if (this.can.delay) deeds.push(() => this.pass());
    if (this.can.dead) deeds.push(() => this.raise());
    await random.pick(deeds)();
  }

  async push(): Promise<void> {
    const { random, model, can } = this;
    const jobs = Array.from({ length: random.int(1, 4) }, () =>
      jobOf({
        id: `m${++this.#made}`,
        priority: can.priority ? random.int(1, 3) : 10,
        delay: can.delay && random.chance(0.3) ? random.int(1, 5) * 1000 : 0,
      }));
    await this.driver.push(jobs);
    for (const { id, priority, delay } of jobs) {
      model.waiting.push({ id, priority, attempt: 1, seq: model.seq++, due: model.now + delay });
    }
  }

  async take(): Promise<void> {
    const { model } = this;
    const most = Math.min(this.random.int(1, 4), model.due.length);
    if (most === 0) return;
    const taken = await takeAll(this.driver, most);
    const expected = this.can.priority
      ? model.due.slice(0, most)
      // What came back stands at some other place there.
      : taken.map(({ id }) => model.due.find((known) => known.id === id)!);
    const seen = taken.map(({ id, attempt }) => [id, attempt]);
    assertEquals(seen, expected.map((known) => [known?.id, known?.attempt]));
    for (const [index, known] of expected.entries()) {
      model.waiting.splice(model.waiting.indexOf(known), 1);
      model.reserved.set(known.id, known);
      this.#held.set(known.id, taken[index]);
    }
  }

  async settle(): Promise<void> {
    const { model, random, driver, can } = this;
    const held = [...this.#held.keys()];
    if (held.length === 0) return;
    const id = random.pick(held);
    const known = model.reserved.get(id)!;
    const delivery = this.#held.get(id)!;
    this.#held.delete(id);
    model.reserved.delete(id);
    const kind = random.pick(["ack", "drop", "again", "back", can.dead ? "dead" : "ack"] as const);
    if (kind === "ack") return await driver.settle(delivery, { kind });
    if (kind === "drop") return await driver.settle(delivery, { kind, error: "dropped" });
    if (kind === "dead") {
      model.dead.push(known);
      return await driver.settle(delivery, { kind, error: "dead" });
    }
    if (kind === "back") {
      model.waiting.push({ ...known, due: model.now });
      return await driver.settle(delivery, { kind });
    }
    const delay = can.delay && random.chance(0.5) ? random.int(1, 5) * 1000 : 0;
    const attempt = known.attempt + 1;
    model.waiting.push({ ...known, attempt, seq: model.seq++, due: model.now + delay });
    await driver.settle(delivery, again({ attempt, delay }));
  }

  async pass(): Promise<void> {
    // Off the moments at which something is due, so that nobody has to be exact.
    const ms = this.random.int(1, 4) * 1000;
    const first = this.model.now === 0 ? 500 : 0;
    this.model.now += ms + first;
    await this.bench.pass(ms + first);
  }

  /** A dead letter is retried or dropped. */
  async raise(): Promise<void> {
    const { model, driver, random } = this;
    if (model.dead.length === 0) return;
    const [known] = model.dead.splice(random.int(0, model.dead.length - 1), 1);
    if (random.chance(0.5)) return assertEquals(await driver.drop(known.id), true);
    assertEquals(await driver.retry(known.id), true);
    model.waiting.push({ ...known, attempt: 1, seq: model.seq++, due: model.now });
  }
}
