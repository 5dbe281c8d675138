/** Schedules with a clock by hand: pushed once, kept on disk, tried again, changed while they run. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { ScheduleConfig } from "../../../../../lib/config/roadrunner/jobs_schedules.ts";
import { Failure } from "../../../../../lib/core/failure.ts";
import type { NewJob } from "../../../../../plugins/jobs/engine.ts";
import { Schedules } from "../../../../../plugins/jobs/schedule/schedules.ts";
import { ManualClock, turn } from "../../../../kit/manual_clock.ts";
import { Scratch } from "../../../../kit/scratch.ts";
import { Stage } from "../kit.ts";

const HOUR = 3_600_000;
const EPOCH = Date.UTC(2030, 0, 1, 11, 59);

const HOURLY: ScheduleConfig = {
  cron: "0 * * * *",
  timezone: "UTC",
  pipeline: "mail",
  job: "App\\Report",
  payload: '{"a":1}',
  missed: "skip",
};

/** Daemons that follow each other on one directory. */
class Lives implements AsyncDisposable {
  readonly scratch = new Scratch();
  clock = new ManualClock(EPOCH);
  pushed: [pipeline: string, job: NewJob][] = [];
  events: [name: string, data: Record<string, unknown>][] = [];
  fails = 0;
  schedules = this.#begin();

  #begin(): Schedules {
    return new Schedules({
      clock: this.clock,
      emit: (name, data) => void this.events.push([name, data as Record<string, unknown>]),
      state_dir: this.scratch.dir,
      push: (pipeline, [job]) => {
        if (this.fails-- > 0) return Promise.reject(new Failure("the broker is away"));
        this.pushed.push([pipeline, job]);
        return Promise.resolve([job.id!]);
      },
    });
  }

  /** The daemon ends; the next one comes up `later` milliseconds afterwards. */
  async next(later: number): Promise<void> {
    await this.schedules[Symbol.asyncDispose]();
    assertEquals(this.clock.pending, 0, "what has ended waits for nothing");
    this.clock = new ManualClock(this.clock.wall() + later);
    this.schedules = this.#begin();
  }

  get ids(): string[] {
    return this.pushed.map(([, { id }]) => id!.replace(/^.*T(\d\d:\d\d).*$/, "$1"));
  }

  told(name: string) {
    return this.events.filter(([event]) => event === name).map(([, data]) => data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.schedules[Symbol.asyncDispose]();
    this.scratch[Symbol.dispose]();
  }
}

Deno.test("pushed at its time, once, with what is configured", async () => {
  await using lives = new Lives();
  lives.schedules.configure({ hourly: HOURLY });
  await lives.clock.advance(59_999);
  assertEquals(lives.pushed, []);
  await lives.clock.advance(1);
  const [[pipeline, job]] = lives.pushed;
  assertEquals(pipeline, "mail");
  assertEquals({ ...job, payload: new TextDecoder().decode(job.payload) }, {
    id: "hourly-2030-01-01T12:00:00.000Z",
    name: "App\\Report",
    payload: '{"a":1}',
    headers: { schedule: ["hourly"], due: ["2030-01-01T12:00:00.000Z"] },
    unique: "schedule hourly-2030-01-01T12:00:00.000Z",
    unique_window: 24 * HOUR,
  });
  await lives.clock.advance(3 * HOUR);
  assertEquals(lives.ids, ["12:00", "13:00", "14:00", "15:00"]);
  const [info] = lives.schedules.infos();
  assertEquals(info.last_run_at, Date.UTC(2030, 0, 1, 15));
  assertEquals(info.next_run_at, Date.UTC(2030, 0, 1, 16));
  assertEquals(lives.told("schedule_pushed").length, 4);
});

Deno.test("missed while the daemon was away: none, or one for all", async () => {
  for (const [missed, expected] of [["skip", []], ["once", ["14:00"]]] as const) {
    await using lives = new Lives();
    lives.schedules.configure({ hourly: { ...HOURLY, missed } });
    await lives.next(2.5 * HOUR);
    lives.schedules.configure({ hourly: { ...HOURLY, missed } });
    await turn();
    assertEquals(lives.ids, [...expected]);
    assertEquals(lives.told("schedule_missed"), [{
      schedule: "hourly",
      runs: 3 - expected.length,
    }]);
    await lives.clock.advance(HOUR);
    assertEquals(lives.ids, [...expected, "15:00"]);
  }
});

Deno.test("a daemon that was away for a moment pushes the run of that moment, and only once", async () => {
  await using lives = new Lives();
  lives.schedules.configure({ hourly: HOURLY });
  await lives.next(70_000);
  lives.schedules.configure({ hourly: HOURLY });
  await turn();
  await lives.next(1000);
  lives.schedules.configure({ hourly: HOURLY });
  await turn();
  assertEquals(lives.ids, ["12:00"]);
});

Deno.test("a push that fails is tried again, and is given up when the next run is due", async () => {
  await using lives = new Lives();
  lives.fails = 3;
  lives.schedules.configure({ hourly: HOURLY });
  await lives.clock.advance(60_000);
  assertEquals(lives.schedules.infos()[0].error, "the broker is away");
  await lives.clock.advance(6_999);
  assertEquals(lives.ids, []);
  await lives.clock.advance(1);
  assertEquals(lives.ids, ["12:00"]);
  assertEquals(lives.schedules.infos()[0].error, undefined);
  lives.fails = Infinity;
  await lives.clock.advance(2 * HOUR - 8_000);
  lives.fails = 0;
  await lives.clock.advance(10_000);
  assertEquals(lives.ids, ["12:00", "14:00"]);
  assertEquals(lives.told("schedule_failed"), [{
    schedule: "hourly",
    due: "2030-01-01T13:00:00.000Z",
    error: "the broker is away",
  }]);
});

Deno.test("a wall clock that is set forward is noticed within a minute, one set back runs nothing twice", async () => {
  await using lives = new Lives();
  const { clock } = lives;
  lives.schedules.configure({ hourly: { ...HOURLY, cron: "30 12 * * *" } });
  clock.jumpWall(31 * 60_000);
  await clock.advance(60_000);
  assertEquals(lives.ids, ["12:30"]);
  clock.jumpWall(-31 * 60_000);
  await clock.advance(HOUR);
  assertEquals(lives.ids, ["12:30"]);
});

Deno.test("changed, removed and new ones while they run", async () => {
  await using lives = new Lives();
  lives.schedules.configure({ hourly: HOURLY });
  lives.schedules.configure({ hourly: { ...HOURLY, job: "App\\Other" } });
  await lives.clock.advance(60_000);
  assertEquals(lives.pushed.map(([, { name }]) => name), ["App\\Other"]);
  lives.schedules.configure({ hourly: { ...HOURLY, cron: "30 * * * *" }, more: HOURLY });
  await lives.clock.advance(HOUR);
  assertEquals(lives.pushed.slice(1).map(([, { id }]) => id), [
    "hourly-2030-01-01T12:30:00.000Z",
    "more-2030-01-01T13:00:00.000Z",
  ]);
  lives.schedules.configure({});
  await lives.clock.advance(2 * HOUR);
  assertEquals(lives.pushed.length, 3);
  assertEquals(lives.clock.pending, 0);
});

Deno.test("a book that is no book is told and written anew", async () => {
  await using lives = new Lives();
  lives.scratch.write("schedules.json", "{ broken");
  lives.schedules.configure({ hourly: HOURLY });
  await lives.clock.advance(60_000);
  assertEquals(lives.ids, ["12:00"]);
  const [{ error }] = lives.told("schedules_unkept");
  assertStringIncludes(String(error), "schedules.json");
  await lives.schedules[Symbol.asyncDispose]();
  assertStringIncludes(
    lives.scratch.read("schedules.json")!,
    `"last": ${Date.UTC(2030, 0, 1, 12)}`,
  );
});

Deno.test("in a pipeline: two daemons' pushes of one run are stored once", async () => {
  await using stage = await Stage.live({ mail: {} });
  const job = { name: "x", payload: new Uint8Array(), unique: "schedule a-1", unique_window: 1000 };
  await stage.intake.engine.push("mail", [job]);
  await stage.intake.engine.push("mail", [job]);
  const { waiting, reserved } = await stage.numbers("mail");
  assertEquals(waiting + reserved, 1);
});
