/** Waits, rates and what drivers are refused for: the arithmetic. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { unable, unstorable } from "../../../../plugins/jobs/abilities.ts";
import { Heap } from "../../../../plugins/jobs/heap.ts";
import { backoff, outcomeOf } from "../../../../plugins/jobs/outcome.ts";
import { Rate } from "../../../../plugins/jobs/rate.ts";
import { forSeeds } from "../../../kit/random.ts";
import { jobOf, settingsOf } from "./conformance/kit.ts";

const retry = { max_attempts: 9, backoff: 1000, factor: 2, max_delay: 5000, jitter: 0 };

Deno.test("backoff: doubled up to its limit", () => {
  const waits = [1, 2, 3, 4, 5, 2000].map((attempt) => backoff(retry, attempt, () => 0.5));
  assertEquals(waits, [1000, 2000, 4000, 5000, 5000, 5000]);
});

Deno.test("backoff: jitter takes away up to its part", () => {
  const jittery = { ...retry, jitter: 0.2 };
  assertEquals([0, 0.5, 1].map((drawn) => backoff(jittery, 1, () => drawn)), [1000, 900, 800]);
});

Deno.test("what a worker says of itself is kept within a limit", () => {
  const body = JSON.stringify({ type: 1, data: { message: "x".repeat(1_000_000) } });
  const outcome = outcomeOf(new TextEncoder().encode(body));
  assert(outcome.kind === "gave up" && outcome.message.length === 4096);
});

Deno.test("delays and headers of an answer that are none are left out", () => {
  const data = { delay_seconds: "x", headers: { a: [1, {}, "b"], c: null } };
  const body = new TextEncoder().encode(JSON.stringify({ type: 4, data }));
  assertEquals(outcomeOf(body), {
    kind: "requeue",
    message: "the worker gave no reason",
    delay: 0,
    headers: { a: ["1", "b"], c: [] },
  });
});

Deno.test("rate: in any stretch no more than it allows, and a second's worth", async () => {
  await forSeeds(20, (random) => {
    const limit = { jobs: random.int(1, 50), per: random.pick([1000, 60_000]) };
    const rate = new Rate(limit, 0);
    const begun: number[] = [];
    for (let now = 0; now < 20_000; now += random.int(1, 300)) {
      while (rate.wait(now) === 0) {
        rate.took();
        begun.push(now);
      }
    }
    const burst = Math.max(1, limit.jobs * 1000 / limit.per);
    for (const [index, from] of begun.entries()) {
      const until = from + 3000;
      const within = begun.slice(index).filter((at) => at < until).length;
      assert(within <= burst + 3000 * limit.jobs / limit.per + 1, `${within} from ${from}`);
    }
  });
});

Deno.test("heap: always the least, also after some were removed", async () => {
  await forSeeds(20, (random) => {
    const heap = new Heap<number>((a, b) => a < b);
    let model: number[] = [];
    for (let step = 0; step < 200; step++) {
      if (random.chance(0.6)) {
        const item = random.int(0, 99);
        heap.push(item);
        model.push(item);
      } else if (random.chance(0.1)) {
        const odd = (item: number) => item % 2 === 1;
        assertEquals(heap.remove(odd).toSorted(), model.filter(odd).toSorted());
        model = model.filter((item) => !odd(item));
      } else {
        model.sort((a, b) => a - b);
        assertEquals(heap.pop(), model.shift());
      }
      assertEquals([heap.size, heap.first], [model.length, model.toSorted((a, b) => a - b)[0]]);
    }
  });
});

const CANNOT = { delay: false, priority: false, dead: false, unique: false, durable: false };

Deno.test("a pipeline that asks what its driver cannot is refused by name", () => {
  const cases = [
    [{ unique: { window: 1 } }, /pipeline mail: the driver memory knows no unique jobs/],
    [{ dead_letter: "keep" as const }, /keeps no dead letters/],
    [{ retry }, /cannot delay a job/],
  ] as const;
  const can = { delay: true, priority: true, dead: true, unique: true, durable: true };
  for (const [more, why] of cases) {
    assertMatch(unable("mail", settingsOf(more), CANNOT)!.message, why);
    assertEquals(unable("mail", settingsOf(more), can), undefined);
  }
  assertEquals(unable("mail", settingsOf({ retry: { ...retry, backoff: 0 } }), CANNOT), undefined);
  assertMatch(unstorable("mail", [jobOf({ delay: 1 })], CANNOT)!.message, /cannot delay/);
  assertEquals(unstorable("mail", [jobOf({ delay: 1 })], can), undefined);
  assertEquals(unstorable("mail", [jobOf()], CANNOT), undefined);
});
