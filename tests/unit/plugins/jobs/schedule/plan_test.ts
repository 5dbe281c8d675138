/** Which runs are pushed and which were missed: as a table, and against a slow and plain model. */

import { assert, assertEquals } from "@std/assert";
import { cronOf } from "../../../../../lib/config/roadrunner/jobs_schedules.ts";
import {
  LATE,
  MAX_COUNTED,
  nextRun,
  planOf,
  TOO_FAR,
} from "../../../../../plugins/jobs/schedule/plan.ts";
import { forSeeds } from "../../../../kit/random.ts";

const NOON = Date.UTC(2030, 0, 1, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const hourly = cronOf({ cron: "0 * * * *", timezone: "UTC" });

const CASES: [
  what: string,
  missed: "skip" | "once",
  last: number,
  now: number,
  plan: Partial<ReturnType<typeof planOf>>,
][] = [
  ["nothing is due", "skip", NOON, NOON + 1, { missed: 0, last: NOON }],
  ["at its very moment", "skip", NOON - 1, NOON, { push: NOON, missed: 0 }],
  ["a moment before", "skip", NOON - 2, NOON - 1, { missed: 0, last: NOON - 2 }],
  ["a little late", "skip", NOON - 1, NOON + LATE, { push: NOON, missed: 0, last: NOON }],
  ["too late", "skip", NOON - 1, NOON + LATE + 1, { missed: 1, last: NOON }],
  ["too late, and wanted", "once", NOON - 1, NOON + LATE + 1, { push: NOON, missed: 0 }],
  ["a day away", "skip", NOON - 1, NOON + 24 * HOUR, { push: NOON + 24 * HOUR, missed: 24 }],
  ["some hours away", "skip", NOON - 1, NOON + 2.5 * HOUR, { missed: 3, last: NOON + 2 * HOUR }],
  ["some hours away, and wanted", "once", NOON - 1, NOON + 2.5 * HOUR, {
    push: NOON + 2 * HOUR,
    missed: 2,
  }],
  ["ten years away", "once", 0, NOON + 1, { push: NOON, missed: MAX_COUNTED - 1 }],
  ["the clock went back", "skip", NOON, NOON - 3 * HOUR, { missed: 0, last: NOON, anew: false }],
  ["the clock was wrong", "once", NOON + TOO_FAR + 1, NOON, { missed: 0, last: NOON, anew: true }],
];

for (const [what, missed, last, now, expected] of CASES) {
  Deno.test(`${what} (${missed})`, () => {
    const plan = planOf(hourly, missed, last, now);
    assertEquals({ ...plan, ...expected }, plan);
    assertEquals(plan.push, expected.push);
  });
}

Deno.test("random days: no run twice, none forgotten, whatever the clock does", async () => {
  await forSeeds(12, (random) => {
    const runs = cronOf({ cron: random.pick(["*/7 * * * *", "*/3 * * * *"]), timezone: "UTC" });
    const missed = random.pick(["skip", "once"] as const);
    let now = NOON + random.int(0, HOUR);
    let last = now;
    const pushed: number[] = [];
    let lost = 0;
    const begin = now;
    let far = now;
    for (let step = 0; step < 60; step++) {
      now += random.chance(0.1) ? -random.int(0, HOUR) : random.int(0, 6 * MINUTE);
      if (random.chance(0.05)) now += random.int(0, HOUR);
      far = Math.max(far, now);
      const plan = planOf(runs, missed, last, now);
      if (plan.push !== undefined) {
        assert(plan.push <= now, "not before its time");
        pushed.push(plan.push);
      }
      lost += plan.missed;
      last = plan.last;
    }
    assertEquals(new Set(pushed).size, pushed.length);
    assertEquals(pushed, pushed.toSorted((a, b) => a - b));
    let due = 0;
    for (let at = begin;; due++) {
      at = runs.nextRun(new Date(at))!.getTime();
      if (at > far) break;
    }
    assertEquals(pushed.length + lost, due);
  });
});

Deno.test("the next run is after the last one, also when the clock is before it", () => {
  assertEquals(nextRun(hourly, NOON, NOON - 3 * HOUR), NOON + HOUR);
  assertEquals(nextRun(hourly, NOON - 3 * HOUR, NOON + 1), NOON + HOUR);
});

Deno.test("an hour that is left out or comes twice runs a fixed hour once", () => {
  const nightly = cronOf({ cron: "30 2 * * *", timezone: "Europe/Berlin" });
  const days = (from: string) => nightly.nextRuns(3, new Date(from)).map((at) => at.toISOString());
  assertEquals(days("2026-03-28T00:00:00Z"), [
    "2026-03-28T01:30:00.000Z",
    "2026-03-29T01:00:00.000Z",
    "2026-03-30T00:30:00.000Z",
  ]);
  assertEquals(days("2026-10-24T00:00:00Z"), [
    "2026-10-24T00:30:00.000Z",
    "2026-10-25T00:30:00.000Z",
    "2026-10-26T01:30:00.000Z",
  ]);
});
