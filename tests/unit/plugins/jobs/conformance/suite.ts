/**
 * What every driver of jobs does, tested in the same words for each.
 *
 * Invariant: what a driver declares in `can` is tested, and what it does not declare is not asked of
 * it; nothing in here knows which driver it is.
 */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import type { Driver, Job } from "../../../../../plugins/jobs/driver.ts";
import {
  again,
  type Bench,
  type Candidate,
  isEmpty,
  jobOf,
  settleOne,
  takeAll,
  takeIds,
  takeOne,
} from "./kit.ts";
import { againstModel } from "./model.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Declares the tests of a driver. */
export function conformance(candidate: Candidate): void {
  const { name, can, second = 1000 } = candidate;
  const test = (what: string, run: (bench: Bench) => Promise<void>, when = true) =>
    Deno.test({
      name: `driver ${name}: ${what}`,
      ignore: !when,
      fn: async () => {
        await using bench = await candidate.bench();
        await run(bench);
      },
    });
  const with_ = (what: string, run: (driver: Driver, bench: Bench) => Promise<void>, when = true) =>
    test(what, async (bench) => {
      await using driver = await bench.open();
      await run(driver, bench);
    }, when);

  with_("a job comes out as it was put in", async (driver) => {
    const job = jobOf({
      headers: { "x-one": ["1", "2"], "ключ": ["значение"], empty: [], "": [""] },
      payload: Uint8Array.from({ length: 256 }, (_, byte) => byte),
      priority: 7,
      auto_ack: true,
      name: "App\\Jobs\\Ünï 'quoted\"",
    });
    await driver.push([job]);
    const { id, name, payload, headers, priority, auto_ack, attempt, error } = await takeOne(
      driver,
    );
    assertEquals(
      { id, name, payload: [...payload], headers, priority, auto_ack, attempt, error },
      {
        id: job.id,
        name: job.name,
        payload: [...job.payload],
        headers: job.headers,
        // Also where the broker does not serve by it: ours are sorted once they are taken.
        priority: 7,
        auto_ack: true,
        attempt: 1,
        error: undefined,
      },
    );
  });

  with_("an empty payload is one", async (driver) => {
    await driver.push([jobOf({ payload: new Uint8Array(0) })]);
    assertEquals((await takeOne(driver)).payload.length, 0);
  });

  with_("a payload of 50 MB", async (driver) => {
    const payload = new Uint8Array(candidate.max_payload ?? 50_000_000);
    for (let at = 0; at < payload.length; at += 4093) payload[at] = at;
    await driver.push([jobOf({ payload })]);
    const taken = await takeOne(driver);
    assertEquals(taken.payload.length, payload.length);
    assert(taken.payload.every((byte, at) => byte === payload[at]));
    await driver.settle(taken, { kind: "ack" });
  });

  with_("first come, first served", async (driver) => {
    await driver.push(["a", "b"].map((id) => jobOf({ id })));
    await driver.push([jobOf({ id: "c" })]);
    assertEquals((await takeAll(driver, 3)).map(({ id }) => id), ["a", "b", "c"]);
  });

  with_("lower numbers are served first, then who came first", async (driver) => {
    const jobs: [string, number][] = [["b", 5], ["d", 9], ["c", 5], ["a", 1], ["e", 1_000_000]];
    await driver.push(jobs.map(([id, priority]) => jobOf({ id, priority })));
    assertEquals((await takeAll(driver, 5)).map(({ id }) => id), ["a", "b", "c", "d", "e"]);
  }, can.priority);

  with_("never more than asked for", async (driver) => {
    await driver.push(Array.from({ length: 10 }, () => jobOf()));
    const taken = await takeIds(driver, 3);
    assert(taken.length >= 1 && taken.length <= 3, `${taken.length}`);
  });

  with_("who takes from an empty pipeline waits for a push", async (driver) => {
    const taking = takeIds(driver, 5);
    await driver.push([jobOf({ id: "late" })]);
    assertEquals(await taking, ["late"]);
  });

  with_("whoever stops waiting reserves nothing", async (driver) => {
    const end = new AbortController();
    const taking = driver.take(5, end.signal);
    const reason = new Error("enough");
    end.abort(reason);
    assertEquals(await taking.catch((error) => error), reason);
    const late = driver.take(5, end.signal);
    assertEquals(await late.catch((error) => error), reason);
    await driver.push([jobOf({ id: "a" })]);
    assertEquals(await takeIds(driver, 5), ["a"]);
  });

  with_("what is reserved nobody else gets", async (driver) => {
    await driver.push([jobOf({ id: "a" })]);
    const one = await takeOne(driver);
    const end = new AbortController();
    const taking = driver.take(1, end.signal).then(() => "got it", () => "nothing");
    assertEquals((await driver.stat()).reserved, 1);
    assert(await isEmpty(driver));
    end.abort();
    assertEquals(await taking, "nothing");
    await driver.settle(one, { kind: "ack" });
  });

  with_("acknowledged: gone", async (driver) => {
    await driver.push([jobOf()]);
    await settleOne(driver, { kind: "ack" });
    assertEquals(await driver.stat(), { waiting: 0, delayed: 0, reserved: 0, dead: 0 });
  });

  with_("dropped: gone, and no dead letter", async (driver) => {
    await driver.push([jobOf()]);
    await settleOne(driver, { kind: "drop", error: "no use" });
    assertEquals(await driver.stat(), { waiting: 0, delayed: 0, reserved: 0, dead: 0 });
    assertEquals(await driver.dead(10), []);
  });

  with_("handed back: the same again", async (driver) => {
    await driver.push([jobOf({ id: "a" })]);
    await settleOne(driver, again({ attempt: 3, error: "before", headers: { x: ["1"] } }));
    await settleOne(driver, { kind: "back" });
    const { id, attempt, error, headers } = await takeOne(driver);
    assertEquals({ id, attempt, error, headers }, {
      id: "a",
      attempt: 3,
      error: "before",
      headers: { x: ["1"] },
    });
  });

  with_("handed back: before those who came later", async (driver) => {
    await driver.push(["a", "b", "c"].map((id) => jobOf({ id })));
    const [a, b] = await takeAll(driver, 2);
    await driver.settle(b, { kind: "back" });
    await driver.settle(a, { kind: "back" });
    assertEquals((await takeAll(driver, 3)).map(({ id }) => id), ["a", "b", "c"]);
  }, can.priority);

  with_("again: with other headers, its number and the reason", async (driver) => {
    await driver.push([jobOf({ id: "a", headers: { old: ["1"] }, payload: encode("kept") })]);
    await settleOne(driver, again({ attempt: 2, headers: { fresh: ["2"] }, error: "it was late" }));
    const { attempt, headers, error, payload } = await takeOne(driver);
    assertEquals({ attempt, headers, error }, {
      attempt: 2,
      headers: { fresh: ["2"] },
      error: "it was late",
    });
    assertEquals(new TextDecoder().decode(payload), "kept");
  });

  with_("again: not before its time", async (driver, bench) => {
    await driver.push([jobOf({ id: "a" })]);
    await settleOne(driver, again({ delay: 4 * second }));
    assertEquals(await driver.stat(), { waiting: 0, delayed: 1, reserved: 0, dead: 0 });
    const taking = takeIds(driver, 1);
    await bench.pass(2 * second);
    assertEquals((await driver.stat()).delayed, 1);
    await bench.pass(2.1 * second);
    assertEquals(await taking, ["a"]);
  }, can.delay);

  with_("delayed jobs come in the order of their times", async (driver, bench) => {
    const delays: [string, number][] = [["c", 3], ["a", 1], ["d", 4], ["b", 2]];
    await driver.push(delays.map(([id, delay]) => jobOf({ id, delay: delay * second })));
    assertEquals((await driver.stat()).delayed, 4);
    const came: string[] = [];
    for (let i = 0; i < 4; i++) {
      const taking = takeIds(driver, 1);
      await bench.pass(1.001 * second);
      came.push(...await taking);
    }
    assertEquals(came, ["a", "b", "c", "d"]);
  }, can.delay);

  with_("100,000 delayed jobs wait", async (driver, bench) => {
    // Where the time is not ours there are fewer, as the test waits for them.
    const [batches, wait] = candidate.second === undefined ? [100, 600_000] : [10, 5_000];
    const count = batches * 1000;
    for (let i = 0; i < batches; i++) {
      const delay = wait + (i * 7919) % 100;
      await driver.push(Array.from({ length: 1000 }, () => jobOf({ delay })));
    }
    assertEquals((await driver.stat()).delayed, count);
    await bench.pass(wait + 101);
    const taken = await takeAll(driver, count);
    assertEquals(new Set(taken.map(({ id }) => id)).size, count);
  }, can.delay);

  with_("dead letters: shown from the oldest, with reason and attempts", async (driver) => {
    await driver.push(["a", "b", "c"].map((id) => jobOf({ id, headers: { of: [id] } })));
    for (const one of await takeAll(driver, 3)) {
      await driver.settle(one, { kind: "dead", error: `${one.id} failed` });
    }
    assertEquals((await driver.stat()).dead, 3);
    const dead = await driver.dead(2);
    assertEquals(dead.map(({ id, error, attempts }) => [id, error, attempts]), [
      ["a", "a failed", 1],
      ["b", "b failed", 1],
    ]);
    assertEquals(dead[0].headers, { of: ["a"] });
    assertEquals(new TextDecoder().decode(dead[0].payload), "a");
    assert(dead[0].died_at > Date.UTC(2020, 0, 1));
    assertEquals((await driver.dead(2, "b")).map(({ id }) => id), ["c"]);
    assertEquals(await driver.dead(2, "c"), []);
    assertEquals(await driver.dead(2, "nobody"), []);
    assert(await isEmpty(driver));
  }, can.dead);

  with_("dead letters: retried is new again, dropped is gone, and once only", async (driver) => {
    await driver.push(["a", "b"].map((id) => jobOf({ id })));
    for (const one of await takeAll(driver, 2)) {
      await driver.settle(one, { kind: "dead", error: "failed" });
    }
    assertEquals([await driver.retry("a"), await driver.retry("a")], [true, false]);
    assertEquals([await driver.drop("b"), await driver.drop("b")], [true, false]);
    assertEquals(await driver.retry("nobody"), false);
    const { id, attempt, error } = await takeOne(driver);
    assertEquals({ id, attempt, error }, { id: "a", attempt: 1, error: undefined });
    assertEquals((await driver.stat()).dead, 0);
  }, can.dead);

  test("a key within its window is stored once", async (bench) => {
    await using driver = await bench.open("once", { unique: { window: 4 * second } });
    await driver.push([jobOf({ id: "a", unique: "k" }), jobOf({ id: "b", unique: "k" })]);
    await driver.push([jobOf({ id: "c", unique: "k" }), jobOf({ id: "d" }), jobOf({ id: "e" })]);
    assertEquals((await takeAll(driver, 3)).map(({ id }) => id), ["a", "d", "e"]);
    await bench.pass(2 * second);
    await driver.push([jobOf({ id: "f", unique: "k" }), jobOf({ id: "g", unique: "other" })]);
    assertEquals(await takeIds(driver, 5), ["g"]);
    await bench.pass(2.1 * second);
    await driver.push([jobOf({ id: "h", unique: "k" })]);
    assertEquals(await takeIds(driver, 5), ["h"]);
  }, can.unique);

  with_(
    "a job may bring a window of its own, also where its pipeline has none",
    async (driver, bench) => {
      const one = (id: string) => jobOf({ id, unique: "k", unique_window: 4 * second });
      await driver.push([one("a"), one("b"), jobOf({ id: "c", unique: "k" })]);
      await driver.push([one("d")]);
      assertEquals((await takeAll(driver, 2)).map(({ id }) => id), ["a", "c"]);
      await bench.pass(4.1 * second);
      await driver.push([one("e")]);
      assertEquals(await takeIds(driver, 5), ["e"]);
    },
    can.unique,
  );

  with_("without a window keys mean nothing", async (driver) => {
    await driver.push([jobOf({ unique: "k" }), jobOf({ unique: "k" })]);
    assertEquals((await takeAll(driver, 2)).length, 2);
  }, can.unique);

  with_("two jobs may have one id", async (driver) => {
    await driver.push([jobOf({ id: "a" }), jobOf({ id: "a" })]);
    const [one, other] = await takeAll(driver, 2);
    assertNotEquals(one, undefined);
    await driver.settle(one, { kind: "ack" });
    await driver.settle(other, again());
    assertEquals((await takeOne(driver)).attempt, 2);
  });

  test("pipelines do not see each other's jobs", async (bench) => {
    await using mail = await bench.open("App.Mail");
    await mail.push([jobOf({ id: "of mail" })]);
    await using other = await bench.open("app.mail");
    assertEquals((await other.stat()).waiting, 0);
    await other.push([jobOf({ id: "of other" })]);
    assertEquals(await takeIds(other, 5), ["of other"]);
  });

  with_("a delivery ends once", async (driver) => {
    await driver.push([jobOf({ id: "a" })]);
    const one = await settleOne(driver, { kind: "ack" });
    await assertRejects(() => driver.settle(one, { kind: "ack" }), Error, '"a"');
  });

  test("close refuses whoever waits, and everything after", async (bench) => {
    const driver = await bench.open();
    const taking = driver.take(1, new AbortController().signal);
    const refused = assertRejects(() => taking, Error, "closed");
    await driver[Symbol.asyncDispose]();
    await refused;
    await assertRejects(() => driver.push([jobOf()]), Error, "closed");
    await assertRejects(() => driver.take(1, new AbortController().signal), Error, "closed");
    await driver[Symbol.asyncDispose]();
  });

  test("jobs outlive the driver: waiting, delayed, reserved and dead", async (bench) => {
    const before = await bench.open();
    const all: Job[] = ["dead", "reserved", "waiting"].map((id) => jobOf({ id }));
    await before.push(all);
    if (can.delay) await before.push([jobOf({ id: "delayed", delay: 2 * second })]);
    await settleOne(before, { kind: "dead", error: "it failed" });
    assertEquals((await takeOne(before)).id, "reserved");
    await before[Symbol.asyncDispose]();
    await using after = await bench.open();
    assertEquals((await after.dead(5)).map(({ id, error }) => [id, error]), [[
      "dead",
      "it failed",
    ]]);
    await bench.pass(2.1 * second);
    const left = ["reserved", "waiting", ...can.delay ? ["delayed"] : []];
    const ids = (await takeAll(after, left.length)).map(({ id }) => id);
    assertEquals(ids.toSorted(), left.toSorted());
  }, can.durable && can.dead);

  test("random events against a model", (bench) => againstModel(bench, candidate));
}
