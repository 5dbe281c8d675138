/**
 * Pushes the jobs of the ledger over RPC, in waves over the time it is given, while daemon and broker
 * come and go.
 *
 * Invariant: `confirmed` has an id exactly when the daemon answered that it is stored; a push that got
 * no such answer is made again with other ids, so one id is pushed once. What it pushed without such
 * an answer may be stored or not: `unconfirmed`.
 */

import { pause, soon } from "../../tests/kit/wait.ts";
import type { Random } from "../../tests/kit/random.ts";
import { Client, ERROR } from "../../tests/unit/goridge/rpc_kit.ts";

/** Jobs in one call. */
const BATCH: [number, number] = [1, 50];

/** Longest answer, milliseconds: more than `jobs.timeout` of the ledger. */
const ANSWER_LIMIT = 30_000;

/** Between two tries to reach a daemon, milliseconds. */
const DIAL_EVERY = 50;

/** In how many waves the jobs come. */
const WAVES = 4;

/** Share of the jobs that are put off, by a second. */
const DELAYED = 0.05;

/** See the head of the file. */
export class Producer implements Disposable {
  readonly confirmed = new Set<string>();
  readonly unconfirmed = new Set<string>();
  /** Why pushes failed, each text once. */
  readonly troubles = new Set<string>();
  readonly #address: string;
  readonly #pipeline: string;
  readonly #random: Random;
  #client: Client | undefined;
  #calls = 0;

  constructor(address: string, pipeline: string, random: Random) {
    this.#address = address;
    this.#pipeline = pipeline;
    this.#random = random;
  }

  /** Pushes until `count` are stored, the last wave within `seconds`. @param limit at most so many */
  async produce(count: number, seconds: number, limit: number): Promise<void> {
    const begin = performance.now();
    while (this.confirmed.size < count) {
      const passed = (performance.now() - begin) / 1000;
      if (passed > limit) {
        const troubles = [...this.troubles].join("; ");
        throw new Error(
          `${this.confirmed.size} of ${count} jobs stored in ${limit} s: ${troubles}`,
        );
      }
      const waves = Math.min(WAVES, 1 + Math.floor(passed / seconds * WAVES));
      const due = Math.ceil(count * waves / WAVES) - this.confirmed.size;
      if (due === 0) await pause(10);
      else await this.#push(Math.min(this.#random.int(...BATCH), due));
    }
  }

  async #push(count: number): Promise<void> {
    const call = ++this.#calls;
    const ids = Array.from({ length: count }, (_, i) => `${this.#pipeline}-${call}-${i}`);
    try {
      this.#client ??= await Client.to(this.#address);
      for (const id of ids) this.unconfirmed.add(id);
      const text = JSON.stringify({ jobs: ids.map((id) => this.#job(id)) });
      const reply = await soon(
        "the answer",
        this.#client.call("jobs.PushBatch", text),
        ANSWER_LIMIT,
      );
      if (reply.flags & ERROR) throw new Error(reply.text);
      for (const id of ids) {
        this.unconfirmed.delete(id);
        this.confirmed.add(id);
      }
    } catch (error) {
      // The daemon is away, or went away, or its broker did.
      this.troubles.add((error as Error).message);
      this[Symbol.dispose]();
      await pause(DIAL_EVERY);
    }
  }

  #job(id: string) {
    const options = {
      pipeline: this.#pipeline,
      priority: this.#random.int(1, 3),
      delay: this.#random.chance(DELAYED) ? 1 : 0,
    };
    const payload = btoa(this.#random.text(this.#random.int(0, 200)));
    return { job: "ledger", id, payload, headers: { of: { value: ["ledger"] } }, options };
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }
}
