/** Backoff: how long to wait, when to give up, and what ends a streak. */

import { assert, assertEquals } from "@std/assert";
import {
  freshHistory,
  nextTry,
  nextWait,
  type RetryPolicy,
  stayedUp,
} from "../../../lib/core/backoff.ts";
import { forSeeds, type Random } from "../../kit/random.ts";

const DAY = 24 * 3_600_000;

const POLICY: RetryPolicy = { delay: 1000, window: 60_000, backoff_factor: 2, max_delay: 30_000 };

/** The waits of `count` tries one after the other, "give up" where it gives up. */
function waits(policy: RetryPolicy, count: number, gap = 0): (number | string)[] {
  const history = freshHistory();
  return Array.from({ length: count }, (_, i) => {
    const retry = nextTry(policy, history, i * gap);
    return "delay" in retry ? retry.delay : `give up after ${retry.tries}`;
  });
}

Deno.test("backoff: waits grow by the factor up to the cap", () => {
  assertEquals(waits(POLICY, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assertEquals(waits({ ...POLICY, backoff_factor: 1 }, 3), [1000, 1000, 1000]);
  assertEquals(waits({ ...POLICY, delay: 60_000 }, 2), [30_000, 30_000]);
});

Deno.test("backoff: without a cap no wait is longer than a day, with one it may be", () => {
  const long = { ...POLICY, delay: DAY - 1, max_delay: 0 };
  assertEquals(waits(long, 2), [DAY - 1, DAY]);
  assertEquals(waits({ ...long, max_delay: 3 * DAY }, 2), [DAY - 1, 2 * (DAY - 1)]);
});

Deno.test("backoff: a delay of 0 stays 0 however long the streak", () => {
  const all = waits({ ...POLICY, delay: 0, max_delay: 0 }, 3000);
  assert(
    all.every((wait) => wait === 0),
    "the growth of 0 is 0, also when the factor's power is not finite",
  );
  assertEquals(waits(POLICY, 3000).at(-1), 30_000);
});

Deno.test("backoff: the budget is used inside the window and comes back as tries leave it", () => {
  const policy = { ...POLICY, max_restarts: 2, backoff_factor: 1 };
  const history = freshHistory();
  assertEquals(nextTry(policy, history, 0), { delay: 1000 });
  assertEquals(nextTry(policy, history, 10_000), { delay: 1000 });
  assertEquals(nextTry(policy, history, 59_999), { giveUp: true, tries: 2 });
  assertEquals(nextTry(policy, history, 60_000), { delay: 1000 }, "the try at 0 is a window old");
  assertEquals(nextTry(policy, history, 69_999), { giveUp: true, tries: 2 });
});

Deno.test("backoff: a budget of 0 never retries; a window of 0 never forgets", () => {
  assertEquals(waits({ ...POLICY, max_restarts: 0 }, 1), ["give up after 0"]);
  const never = waits({ ...POLICY, max_restarts: 2, window: 0 }, 3, 100 * DAY);
  assertEquals(never, [1000, 2000, "give up after 2"]);
});

Deno.test("backoff: giving up does not lengthen the next wait", () => {
  const policy = { ...POLICY, max_restarts: 1 };
  const history = freshHistory();
  nextTry(policy, history, 0);
  for (let i = 0; i < 5; i++) nextTry(policy, history, 1);
  assertEquals(nextTry(policy, history, 60_000), { delay: 2000 });
});

Deno.test("backoff: staying up as long as the longest wait ends the streak, not the budget", () => {
  const policy = { ...POLICY, max_restarts: 3 };
  const history = freshHistory();
  nextTry(policy, history, 0);
  stayedUp(policy, history, 29_999);
  assertEquals(nextTry(policy, history, 1), { delay: 2000 });
  stayedUp(policy, history, 30_000);
  assertEquals(nextTry(policy, history, 2), { delay: 1000 });
  assertEquals(nextTry(policy, history, 3), { giveUp: true, tries: 3 });
});

Deno.test("backoff: with short waits ten seconds count as up, less do not", () => {
  for (const max_delay of [0, 5]) {
    const policy = { ...POLICY, delay: 1, max_delay };
    const history = freshHistory();
    nextTry(policy, history, 0);
    stayedUp(policy, history, 9999);
    assertEquals(nextTry(policy, history, 0), { delay: 2 });
    stayedUp(policy, history, 10_000);
    assertEquals(nextTry(policy, history, 0), { delay: 1 });
  }
});

Deno.test("backoff: any history keeps the policy", async () => {
  await forSeeds(300, (random) => {
    const policy = randomPolicy(random);
    const history = freshHistory();
    const granted: number[] = [];
    let now = 0;
    let before = 0;
    for (let i = 0; i < 100; i++) {
      now += random.pick([0, 1, 100, 5000, policy.window, 100_000]);
      if (random.chance(0.1)) {
        stayedUp(policy, history, Math.max(policy.max_delay, 10_000));
        before = 0;
      }
      const retry = nextTry(policy, history, now);
      const inside = granted.filter((at) => policy.window === 0 || now - at < policy.window).length;
      if ("giveUp" in retry) {
        assertEquals(retry.tries, inside);
        assert(inside >= policy.max_restarts!, "gave up with budget left");
        continue;
      }
      assert(inside < (policy.max_restarts ?? Infinity), "a try over budget");
      granted.push(now);
      assert(retry.delay >= before, "a wait of a streak is never shorter than the one before");
      assert(retry.delay <= (policy.max_delay || DAY), "a wait over the cap");
      if (before === 0) assertEquals(retry.delay, Math.min(policy.delay, policy.max_delay || DAY));
      before = retry.delay;
      assert(history.tries.length <= (policy.max_restarts ?? 0), "stamps the budget does not need");
    }
  });
});

Deno.test("the wait of what is never given up is that of a policy without a budget", async () => {
  await forSeeds(20, (random) => {
    const { max_restarts: _, ...policy } = randomPolicy(random);
    const [one, other] = [freshHistory(), freshHistory()];
    for (let tries = 0; tries < 20; tries++) {
      assertEquals(nextTry(policy, one, tries), { delay: nextWait(policy, other) });
    }
    assertEquals(other, { tries: [], streak: 20 });
  });
});

function randomPolicy(random: Random): RetryPolicy {
  return {
    delay: random.pick([0, 1, 250, 1000, 60_000]),
    max_restarts: random.pick([undefined, 0, 1, 3, 10]),
    window: random.pick([0, 1, 1000, 60_000]),
    backoff_factor: random.pick([1, 1.5, 2, 1000]),
    max_delay: random.pick([0, 10, 30_000]),
  };
}
