/** Bringing back what was live: tried again until it is, or until nobody wants it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { firstRelease } from "../../../lib/daemon/first_release.ts";
import { Restore } from "../../../lib/daemon/restore.ts";
import type { ReleaseRecord } from "../../../lib/release/types.ts";
import type { Events } from "../../../lib/telemetry/events.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { forSeeds } from "../../kit/random.ts";
import { configOf, processOf, proxiedOf } from "../release/configs.ts";
import { Daemon } from "./kit.ts";

const RECORD = { release_id: "v2", release_path: "/srv/v2" } as ReleaseRecord;

/** A restoration whose attempts a test answers. */
class Trial {
  readonly clock = new ManualClock();
  readonly failed: Events["restore_failed"][] = [];
  readonly tries: { at: number; answer: PromiseWithResolvers<void> }[] = [];
  wanted = true;
  readonly restore = new Restore(
    this.clock,
    (_, data) => void this.failed.push(data as Events["restore_failed"]),
    () => {
      const answer = Promise.withResolvers<void>();
      this.tries.push({ at: this.clock.now(), answer });
      return answer.promise;
    },
    () => this.wanted,
  );
}

Deno.test("a try that works is all there is", async () => {
  const trial = new Trial();
  const done = trial.restore.run(RECORD);
  trial.tries[0].answer.resolve();
  await done;
  assertEquals([trial.restore.status, trial.clock.pending, trial.failed], [undefined, 0, []]);
});

Deno.test("one that fails is told and tried again, later each time, at most every 30 s", async () => {
  const trial = new Trial();
  void trial.restore.run(RECORD);
  for (let i = 0; i < 8; i++) {
    trial.tries[i].answer.reject(new Failure(`try ${i}`));
    await turn();
    assertEquals(trial.restore.status?.error, `try ${i}`);
    assertEquals(trial.restore.status?.release_id, "v2");
    await trial.clock.advance(trial.clock.next!);
  }
  const waits = trial.tries.map(({ at }, i) => at - (trial.tries[i - 1]?.at ?? 0)).slice(1);
  assertEquals(waits, [1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1000));
  assertEquals(trial.failed.map((one) => one.next_try_ms), waits);
  trial.tries[8].answer.resolve();
  await turn();
  assertEquals([trial.restore.status, trial.clock.pending], [undefined, 0]);
});

Deno.test("the next try is said in wall time", async () => {
  const trial = new Trial();
  void trial.restore.run(RECORD);
  trial.tries[0].answer.reject(new Failure("no"));
  await turn();
  assertEquals(trial.restore.status?.next_try_at, "2030-01-01T00:00:01.000Z");
});

Deno.test("forgotten while it waits: no more tries", async () => {
  const trial = new Trial();
  void trial.restore.run(RECORD);
  trial.tries[0].answer.reject(new Failure("no"));
  await turn();
  trial.restore.forget();
  assertEquals([trial.restore.status, trial.clock.pending], [undefined, 0]);
});

Deno.test("not wanted any more when it fails, or when its time comes", async () => {
  const failing = new Trial();
  void failing.restore.run(RECORD);
  failing.wanted = false;
  failing.tries[0].answer.reject(new Failure("no"));
  await turn();
  assertEquals([failing.restore.status, failing.clock.pending], [undefined, 0]);

  const waiting = new Trial();
  void waiting.restore.run(RECORD);
  waiting.tries[0].answer.reject(new Failure("no"));
  await turn();
  waiting.wanted = false;
  await waiting.clock.advance(60_000);
  assertEquals([waiting.tries.length, waiting.restore.status], [1, undefined]);
});

Deno.test("random events: one try at a time, none once it is not wanted", () =>
  forSeeds(200, async (random) => {
    const trial = new Trial();
    void trial.restore.run(RECORD);
    let open = 1;
    let over = false;
    for (let step = 0; step < 40; step++) {
      const before = trial.tries.length;
      const last = trial.tries.at(-1)!;
      switch (random.pick(["fail", "work", "time", "time", "forget", "unwanted"])) {
        case "fail":
          if (open > 0) last.answer.reject(new Failure("no"));
          open = 0;
          break;
        case "work":
          if (random.chance(0.8)) break;
          if (open > 0) [open, over] = [0, true];
          last.answer.resolve();
          break;
        case "time":
          await trial.clock.advance(random.int(0, 40_000));
          break;
        case "forget":
          if (random.chance(0.8) || open > 0) break;
          trial.restore.forget();
          over = true;
          break;
        case "unwanted":
          if (random.chance(0.9)) break;
          trial.wanted = false;
          break;
      }
      await turn();
      const begun = trial.tries.length - before;
      assert(begun <= 1 && !(begun === 1 && open > 0), "two tries at once");
      if (over || !trial.wanted) assertEquals(begun, 0);
      if (begun === 1) open = 1;
      assert(trial.clock.pending <= 1, "two timers");
      if (open > 0 || over) assertEquals(trial.clock.pending, 0);
    }
  }));

// With the real deploy.

const WEB = [proxiedOf("web"), processOf("cron", "singleton")];

/** A daemon that died with `id` live, and its successor. */
async function afterDeath(...ids: string[]): Promise<{ first: Daemon; next: Daemon }> {
  const first = new Daemon(WEB);
  for (const id of ids) await first.deploy(id, { wait: true });
  return { first, next: new Daemon(WEB, first) };
}

function remembered({ stage }: Daemon): ReleaseRecord | null {
  return stage.history.read().live;
}

Deno.test("the live release comes back by itself, what the dead daemon left goes after it", async () => {
  const { first, next } = await afterDeath("v1", "v2");
  using _ = first;
  const { stage, context } = next;
  const old = [...stage.alive];
  await next.pass(() => firstRelease(context, undefined, remembered(next)));
  assertEquals([stage.fleet.active?.release_id, stage.fleet.active?.record.lineage], ["v2", "v2"]);
  await stage.clock.advance(0);
  assertEquals(old.filter((child) => child.alive), []);
  assertEquals(stage.ground.orphans.list(), []);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v1");
});

Deno.test("it cannot: orphans go at once, the reason is shown, it is tried again", async () => {
  const { first, next } = await afterDeath("v1");
  using _ = first;
  const { stage, context } = next;
  stage.intake.onBuild = () => Promise.reject(new Failure("the database is down"));
  await next.pass(() => firstRelease(context, undefined, remembered(next)));
  await turn();
  assertEquals([stage.fleet.active, stage.running], [undefined, []]);
  assertEquals(context.restore.status?.error, "the database is down");
  assertEquals(stage.history.read().live?.release_id, "v1");
  stage.intake.onBuild = () => {};
  await stage.clock.advance(2_000);
  assertEquals([stage.fleet.active?.release_id, context.restore.status], ["v1", undefined]);
});

Deno.test("initial runs where nothing was deployed; what somebody stopped stays stopped", async () => {
  using scratch = new Scratch();
  const config = {
    ...configOf([...WEB, processOf("clock", "companion", { origin: "service" })]),
    dir: scratch.dir,
  };
  using first = new Daemon(config);
  await first.pass(() => firstRelease(first.context, undefined, null));
  assertEquals(first.stage.fleet.active?.release_id, "initial");
  assertEquals(first.stage.running, ["clock of initial"]);
  await first.deploy("v1", { wait: true });
  await first.pass(() => first.operations.stop({}));

  const next = new Daemon(config, first);
  assertEquals(remembered(next), null);
  await next.pass(() => firstRelease(next.context, undefined, remembered(next)));
  assertEquals([next.stage.fleet.active, next.stage.running], [undefined, []]);
});

Deno.test("a release asked for wins; when it fails, the start fails", async () => {
  const { first, next } = await afterDeath("v1");
  using _ = first;
  const { stage, context } = next;
  const asked = { path: stage.release("v3"), id: "v3", revision: "abc" };
  await next.pass(() => firstRelease(context, asked, remembered(next)));
  assertEquals([stage.fleet.active?.release_id, stage.fleet.active?.revision], ["v3", "abc"]);
  assertEquals(stage.fleet.rollbackTarget(undefined).release_id, "v1");

  const third = new Daemon(WEB, next);
  const gone = { path: stage.scratch.path("gone") };
  await assertRejects(
    () => third.pass(() => firstRelease(third.context, gone, remembered(third))),
    Failure,
    "does not exist",
  );
  const named = { path: stage.release("v3"), id: "a/b" };
  await assertRejects(
    () => third.pass(() => firstRelease(third.context, named, remembered(third))),
    Failure,
    '--release-id "a/b" is not usable as a name',
  );
  assertEquals(third.stage.history.read().live?.release_id, "v3");
});

Deno.test("nothing asked for, nothing remembered: orphans go", async () => {
  const { first, next } = await afterDeath("v1");
  using _ = first;
  await next.pass(() => firstRelease(next.context, undefined, null));
  await turn();
  assertEquals(next.stage.running, []);
});

/** A restoration that failed once and whose next try has just come up while an operation runs. */
async function tryBehind(operation: (daemon: Daemon) => Promise<unknown>): Promise<Daemon> {
  const { next } = await afterDeath("v1");
  const { stage, context } = next;
  stage.intake.onBuild = () => Promise.reject(new Failure("not yet"));
  await next.pass(() => firstRelease(context, undefined, remembered(next)));
  let hold: (() => void) | undefined;
  stage.intake.onBuild = () => new Promise<void>((resolve) => hold = resolve);
  const running = operation(next);
  await stage.clock.advance(1_500);
  stage.intake.onBuild = () => {};
  assertEquals(context.turn.waiting.length + (hold === undefined ? 1 : 0) > 0, true);
  hold?.();
  await stage.pass(running);
  await stage.pass(context.turn.idle);
  await stage.clock.advance(60_000);
  return next;
}

Deno.test("a deploy that was faster than the next try is not undone by it", async () => {
  using next = await tryBehind((daemon) => daemon.deploy("v2"));
  assertEquals(next.stage.fleet.active?.release_id, "v2");
  assertEquals(next.stage.world.events("traffic_switched").map((one) => one.release), ["v2"]);
  assertEquals(next.context.restore.status, undefined);
});

Deno.test("a stop while it waits for its next try ends the tries, also for later daemons", async () => {
  using next = await tryBehind((daemon) => Promise.resolve(daemon.operations.stop({})));
  assertEquals([next.stage.fleet.active, next.context.restore.status], [undefined, undefined]);
  assertEquals([next.stage.running, next.stage.history.read().live], [[], null]);
});

Deno.test("a stop of another release does not end the tries", async () => {
  const { first, next } = await afterDeath("v1", "v2");
  using _ = first;
  next.stage.intake.onBuild = () => Promise.reject(new Failure("not yet"));
  await next.pass(() => firstRelease(next.context, undefined, remembered(next)));
  await next.pass(() => next.operations.stop({ release_id: "v1" }));
  assertEquals(next.context.restore.status?.release_id, "v2");
  next.stage.intake.onBuild = () => {};
  await next.stage.clock.advance(60_000);
  assertEquals(next.stage.fleet.active?.release_id, "v2");
});

Deno.test("a try uses the configuration in force when it runs, not the one of the start", async () => {
  const { first, next } = await afterDeath("v1");
  using _ = first;
  const { stage } = next;
  stage.intake.onBuild = () => Promise.reject(new Failure("not yet"));
  await next.pass(() => firstRelease(next.context, undefined, remembered(next)));
  stage.intake.onBuild = () => {};
  next.file = configOf([proxiedOf("web", { command: "run web --repaired" })]);
  await next.pass(() => next.operations.reload());
  await stage.clock.advance(60_000);
  assertEquals(stage.program("web").spec.argv[2], "run web --repaired");
});
