/** The pure parts of a pool: pace, scaling, limits, waiting, exchanges. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Alarm } from "../../../lib/pool/alarm.ts";
import { Call, unsendable } from "../../../lib/pool/call.ts";
import { Exchange } from "../../../lib/pool/exchange.ts";
import { HandOut } from "../../../lib/pool/hand_out.ts";
import { jobsLimit, markFor, Meter } from "../../../lib/pool/limits.ts";
import { Pace } from "../../../lib/pool/pace.ts";
import { Scaler } from "../../../lib/pool/scale.ts";
import { TurnedAway } from "../../../lib/pool/turned_away.ts";
import { type Answer, PoolError } from "../../../lib/pool/types.ts";
import type { Worker } from "../../../lib/pool/worker.ts";
import type { ProcRow } from "../../../lib/os/system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

Deno.test("pace: at once, then slower and slower, never given up; an answer mends it", () => {
  const pace = new Pace();
  const waits: number[] = [];
  let now = 1_000;
  for (let n = 0; n < 12; n++) {
    pace.failed(now, "it died", now);
    waits.push(Math.max(0, pace.until - now));
    now = Math.max(now, pace.until) + 1;
  }
  assertEquals(waits.slice(0, 5), [0, 250, 500, 1_000, 2_000]);
  assertEquals(waits.at(-1), 30_000);
  assert(pace.trying);
  pace.served(now - 40_000);
  assertEquals(pace.trouble, "it died", "who was there before says nothing");
  pace.served(now);
  assertEquals([pace.trouble, pace.until, pace.trying], [undefined, 0, false]);
});

Deno.test("pace: who was started together and fails together counts once", () => {
  const pace = new Pace();
  for (let n = 0; n < 50; n++) pace.failed(1_000, "no database", 2_000 + n);
  assertEquals(pace.until, 0);
  pace.failed(3_000, "no database", 3_100);
  assertEquals(pace.until, 3_350);
});

Deno.test("pace: spawns are a little apart", () => {
  const pace = new Pace();
  assertEquals([pace.turn(100), pace.turn(100), pace.turn(101), pace.turn(500)], [
    100,
    102,
    104,
    500,
  ]);
});

Deno.test("scaling: by spawn_rate once a second up to max_workers, down after idle_timeout", () => {
  const settings = { max_workers: 5, spawn_rate: 2, idle_timeout: 60_000 };
  const scaler = new Scaler();
  assertEquals(scaler.more(settings, 49, 0), 0);
  assertEquals(scaler.more(settings, 50, 1), 2);
  assertEquals(scaler.more(settings, 500, 500), 0);
  assertEquals(scaler.next(settings, 0, 500), 1_001);
  assertEquals(scaler.more(settings, 900, 1_001), 2);
  assertEquals(scaler.more(settings, 900, 2_001), 1);
  assertEquals(scaler.more(settings, 900, 3_001), 0);
  assertEquals(scaler.next(settings, 0, 3_001), Infinity);
  assertEquals(scaler.fewer(settings, 60_000), 0);
  assertEquals([62_001, 62_002, 122_001, 182_001].map((at) => scaler.fewer(settings, at)), [
    2,
    0,
    2,
    1,
  ]);
  assertEquals(scaler.fewer(settings, 900_000), 0);
});

Deno.test("limits: which one is reached", () => {
  const limits = { watch_tick: 1, exec_ttl: 0, ttl: 100, idle_ttl: 10, max_worker_memory: 1_000 };
  const none = { ...limits, ttl: 0, idle_ttl: 0, max_worker_memory: 0 };
  assertEquals(markFor({ age: 99, idle: 9, rss_bytes: 999 }, limits), undefined);
  assertEquals(markFor({ age: 100, idle: 9, rss_bytes: 999 }, limits), "ttl");
  assertEquals(markFor({ age: 1, idle: 10, rss_bytes: 999 }, limits), "idle_ttl");
  assertEquals(markFor({ age: 1, idle: undefined, rss_bytes: 999 }, limits), undefined);
  assertEquals(markFor({ age: 1, idle: 1, rss_bytes: 1_000 }, limits), "memory");
  assertEquals(markFor({ age: 1e9, idle: 1e9, rss_bytes: 1e9 }, none), undefined);
});

Deno.test("max_jobs: up to 14 % more", () => {
  assertEquals([jobsLimit(100, 0), jobsLimit(100, 0.999), jobsLimit(1, 0.999)], [100, 113, 1]);
  assertEquals(jobsLimit(0, 0.5), Infinity);
});

Deno.test("the meter reads CPU since its last look", () => {
  const meter = new Meter();
  const row = (cpu_ticks: number) => ({ rss_bytes: 7, cpu_ticks }) as ProcRow;
  assertEquals(meter.read(row(500), 1_000).cpu_percent, 0);
  assertEquals(meter.read(row(550), 2_000), { rss_bytes: 7, cpu_percent: 50 });
  assertEquals(meter.read(undefined, 3_000), { rss_bytes: 7, cpu_percent: 50 });
});

Deno.test("refusals are told at once, then in sums", () => {
  const told: [number, string][] = [];
  const away = new TurnedAway((requests, reason) => told.push([requests, reason]));
  away.count("full", 0);
  for (let n = 0; n < 100; n++) away.count("late", 1 + n);
  away.flush(9_000);
  assertEquals(told, [[1, "full"]]);
  away.flush(10_000);
  away.flush(30_000);
  assertEquals(told, [[1, "full"], [100, "late"]]);
  assertEquals(away.total, 101);
});

Deno.test("an alarm: one timer, never late, earlier if asked to", async () => {
  const clock = new ManualClock();
  const looks: number[] = [];
  const alarm = new Alarm(clock, (now) => {
    looks.push(now);
    return now < 300 ? 300 : Infinity;
  });
  alarm.by(200);
  alarm.by(250);
  alarm.by(100);
  assertEquals(clock.pending, 1);
  await clock.advance(1_000);
  assertEquals(looks, [100, 300]);
  alarm.by(2_000);
  alarm.close();
  assertEquals(clock.pending, 0);
});

// Exchanges.

const part = (text: string, more: boolean) => ({
  flags: 0,
  context: new Uint8Array(0),
  body: new TextEncoder().encode(text),
  more,
});

function exchange() {
  const told: string[] = [];
  let answer: Answer | undefined;
  const asker = {
    answered: (given: Answer) => void (answer = given),
    failed: (error: PoolError) => void told.push(error.message),
  };
  const listener = {
    pid: 7,
    cancelled: () => void told.push("cancelled"),
    paused: (is: boolean) => void told.push(is ? "paused" : "resumed"),
  };
  const request = { flags: 0, context: new Uint8Array(1), body: [], what: "x" };
  return { told, taken: () => answer!, one: new Exchange(request, asker, listener) };
}

const text = (of: { body: Uint8Array } | undefined) => of && new TextDecoder().decode(of.body);

Deno.test("an exchange keeps one part and then has the reader wait", async () => {
  const { told, taken, one } = exchange();
  one.arrived(part("a", true));
  assertEquals(one.pause, undefined);
  one.arrived(part("b", true));
  const paused = one.pause!;
  assertEquals([text(await taken().next()), told], ["b", ["paused", "resumed"]]);
  await paused;
  const next = taken().next();
  one.arrived(part("c", true));
  assertEquals([text(await next), one.pause], ["c", undefined]);
  one.arrived(part("d", false));
  assertEquals(one.pause, undefined, "nothing follows the last part");
  assertEquals([text(await taken().next()), await taken().next()], ["d", undefined]);
});

Deno.test("a failure comes after the parts that were there before it", async () => {
  const { told, taken, one } = exchange();
  one.arrived(part("a", true));
  one.arrived(part("b", true));
  one.fail(new PoolError("died", "gone"));
  assertEquals(told, ["paused", "resumed"], "the reader does not hang");
  assertEquals(text(await taken().next()), "b");
  await assertRejects(() => taken().next(), PoolError, "gone");
});

Deno.test("a cancelled exchange drops what comes until the end", async () => {
  const { told, taken, one } = exchange();
  one.arrived(part("a", true));
  const waiting = taken().next();
  taken().cancel();
  taken().cancel();
  assertEquals([await waiting, told], [undefined, ["cancelled"]]);
  one.arrived(part("b", true));
  one.arrived(part("c", true));
  assertEquals(one.pause, undefined);
  one.fail(new PoolError("died", "gone"));
  assertEquals(await taken().next(), undefined);
});

// Accounts.

/** As much of a worker as handing out looks at. */
function fakeWorker(): Worker & { free: boolean; busy: boolean; asked: string[] } {
  const worker = {
    free: true,
    busy: false,
    asked: [] as string[],
    exec: ({ what }: { what: string }) => {
      worker.asked.push(what);
      worker.free = false;
      worker.busy = true;
    },
  };
  return worker as never;
}

Deno.test("accounts that do not agree are told and put right", () => {
  const handOut = new HandOut(new ManualClock());
  const [one, two] = [fakeWorker(), fakeWorker()];
  const home = { left: () => {}, again: () => false, refused: () => {} };
  const call = (what: string) => {
    return new Call({ flags: 0, context: new Uint8Array(1), body: [], what }, home, 0, 1);
  };
  handOut.offer(one);
  assertEquals(handOut.verify([one]), undefined);
  // One that is free was forgotten while somebody waits, another one is thought to be busy.
  handOut.serve(call("a"));
  handOut.serve(call("b"));
  one.busy = false;
  assertEquals(
    handOut.verify([two]),
    "1 free, 0 handed out as idle, 1 as busy, 1 requests waiting",
  );
  assertEquals([one.asked, two.asked], [["a"], ["b"]]);
  assertEquals([handOut.busy, handOut.idle, handOut.queue.size], [1, 0, 0]);
  assertEquals(handOut.verify([]), undefined);
});

Deno.test("what a worker gave back goes first", () => {
  const handOut = new HandOut(new ManualClock());
  const home = { left: () => {}, again: () => false, refused: () => {} };
  const call = (what: string) => {
    return new Call({ flags: 0, context: new Uint8Array(1), body: [], what }, home, 0, 1);
  };
  handOut.serve(call("a"));
  handOut.serve(call("b"), true);
  const worker = fakeWorker();
  handOut.offer(worker);
  assertEquals(worker.asked, ["b"]);
});

Deno.test("what no frame can hold is not sent", () => {
  const request = (size: number) => ({
    flags: 0,
    context: new Uint8Array(0),
    body: [{ length: size } as Uint8Array],
    what: "x",
  });
  assertMatch(unsendable(request(0))!, /context or a body/);
  assertEquals(unsendable(request(2 ** 30)), undefined);
  assertMatch(unsendable(request(2 ** 30 + 1))!, /more than a frame may hold/);
});
