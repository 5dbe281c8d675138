import { assert, assertEquals } from "@std/assert";
import {
  AT_REST,
  type Effect,
  type Life,
  type LifeEvent,
  shown,
  step,
} from "../../../lib/process/life.ts";
import { forSeeds, type Random } from "../../kit/random.ts";

/** Runs events from rest; the effects of all. */
function play(...events: LifeEvent[]): { life: Life; effects: Effect[] } {
  let life = AT_REST;
  const effects: Effect[] = [];
  for (const event of events) {
    const next = step(life, event);
    life = next.life;
    effects.push(...next.effects);
  }
  return { life, effects };
}

const start: LifeEvent = { type: "start", reason: "deploy", trial: false };
const trial: LifeEvent = { type: "start", reason: "deploy", trial: true };
const restart: LifeEvent = { type: "restart", reason: "manual", trial: false };
const of = (type: Exclude<LifeEvent["type"], "start" | "restart">): LifeEvent => ({ type });
const up = [start, of("spawned"), of("proven")];

Deno.test("a start is spawned, proven, answered", () => {
  const { life, effects } = play(...up);
  assertEquals(life.phase, "running");
  assertEquals(effects, ["forgive", "spawn", "prove", "answer_start"]);
});

Deno.test("a crash is cleared before it is tried again", () => {
  const crashed = play(...up, of("exited"));
  assertEquals(crashed.life.phase, "clearing");
  assertEquals(shown(crashed.life), "backoff");
  assertEquals(crashed.effects.at(-1), "clear");
  const again = play(...up, of("exited"), of("gone"), of("due"));
  assertEquals(again.life.phase, "starting");
  assertEquals(again.life.reason, "crash");
  assertEquals(again.effects.slice(-3), ["answer_stop", "retry", "spawn"]);
});

Deno.test("on trial the first failure is final, whichever it is", () => {
  for (const failing of [of("exited"), of("unproven"), of("memory")]) {
    const { life, effects } = play(trial, of("spawned"), failing, of("gone"));
    assertEquals(life.phase, "failed");
    assert(effects.includes("fail_start"));
    assert(!effects.includes("retry"));
  }
  assertEquals(play(trial, of("unspawned")).life.phase, "failed");
});

Deno.test("once proven the trial is over", () => {
  const { life } = play(trial, of("spawned"), of("proven"), of("exited"), of("gone"));
  assertEquals(life.phase, "backoff");
});

Deno.test("what never worked is stopped fast and tried again", () => {
  const { life, effects } = play(start, of("spawned"), of("unproven"), of("gone"));
  assertEquals(life.phase, "backoff");
  assertEquals(effects.slice(-4), ["fail_start", "descend_fast", "answer_stop", "retry"]);
});

Deno.test("a stop wins over what was planned, a later start wins over the stop", () => {
  for (const planned of [restart, of("memory"), of("exited")]) {
    assertEquals(play(...up, planned, of("stop"), of("gone")).life.phase, "stopped");
    const { life, effects } = play(...up, planned, of("stop"), start, of("gone"));
    assertEquals(life.phase, "starting");
    assertEquals(effects.filter((effect) => effect === "spawn").length, 2);
  }
});

Deno.test("restart keeps who waits for the start waiting", () => {
  const { life, effects } = play(start, of("spawned"), restart, of("exited"), of("gone"));
  assertEquals(life.phase, "starting");
  assert(!effects.includes("cancel_start"));
  assert(!effects.includes("fail_start"));
});

Deno.test("quiesced, nothing starts by itself", () => {
  const quiet = of("quiesce");
  assertEquals(play(...up, quiet, of("exited"), of("gone")).life.phase, "failed");
  assertEquals(play(...up, quiet, of("memory"), of("gone")).life.phase, "stopped");
  assertEquals(play(...up, of("exited"), quiet, of("gone")).life.phase, "failed");
  assertEquals(play(...up, of("memory"), quiet, of("gone")).life.phase, "stopped");
  const waiting = play(...up, of("exited"), of("gone"), quiet);
  assertEquals(waiting.life.phase, "failed");
  assertEquals(waiting.effects.at(-1), "disarm");
});

Deno.test("a start brings back what was given up or quiesced", () => {
  const { life, effects } = play(...up, of("exited"), of("gone"), of("spent"), restart);
  assertEquals(life.phase, "starting");
  assertEquals(effects.slice(-2), ["forgive", "spawn"]);
  assertEquals(play(...up, of("quiesce"), of("exited"), of("gone"), start).life.quiesced, false);
});

/** Events that can come at this point, given what is alive and what is being waited for. */
function possible(random: Random, world: WorldModel): LifeEvent {
  const events: LifeEvent[] = [start, trial, restart, of("stop"), of("quiesce")];
  if (world.leader) events.push(of("exited"), of("exited"), of("memory"));
  if (world.proving) events.push(of("proven"), of("proven"), of("unproven"));
  if (world.ending && !world.leader) events.push(of("gone"), of("gone"), of("gone"));
  if (world.timer) events.push(of("due"), of("due"));
  return random.pick(events);
}

interface WorldModel {
  leader: boolean;
  group: boolean;
  proving: boolean;
  ending: boolean;
  timer: boolean;
}

Deno.test("random lives: one run at a time, none unasked, everybody answered", async () => {
  await forSeeds(300, (random) => {
    let life = AT_REST;
    const world: WorldModel = {
      leader: false,
      group: false,
      proving: false,
      ending: false,
      timer: false,
    };
    let unwanted = true;
    let starts = 0;
    let stops = 0;
    const queue: LifeEvent[] = [];
    const take = (event: LifeEvent) => {
      if (event.type === "start" || event.type === "restart") {
        [unwanted, starts] = [false, starts + 1];
      }
      if (event.type === "stop") [unwanted, stops] = [true, stops + 1];
      if (event.type === "quiesce") unwanted = true;
      if (event.type === "exited") [world.leader, world.proving] = [false, false];
      if (event.type === "proven" || event.type === "unproven") world.proving = false;
      if (event.type === "gone") [world.group, world.ending] = [false, false];
      if (event.type === "due") world.timer = false;
      const next = step(life, event);
      life = next.life;
      for (const effect of next.effects) perform(effect);
    };
    const perform = (effect: Effect) => {
      switch (effect) {
        case "spawn":
          assert(!world.group, "spawned beside a living group");
          assert(!world.timer, "spawned while a retry waits");
          assert(!unwanted, "spawned though nobody wants it");
          if (random.chance(0.2)) return void queue.push(of("unspawned"));
          [world.leader, world.group] = [true, true];
          return void queue.push(of("spawned"));
        case "prove":
          assert(world.leader && !world.proving);
          world.proving = true;
          return;
        case "descend":
        case "descend_fast":
        case "clear":
          assert(world.group, "ended what is not there");
          assert(!world.ending, "ended twice");
          assertEquals(effect === "clear", !world.leader);
          [world.ending, world.proving] = [true, false];
          return;
        case "retry":
          assert(!world.group && !world.timer);
          if (random.chance(0.1)) return void queue.push(of("spent"));
          world.timer = true;
          return;
        case "disarm":
          world.timer = false;
          return;
        case "answer_start":
        case "fail_start":
        case "cancel_start":
          starts = 0;
          return;
        case "answer_stop":
          stops = 0;
      }
    };
    const drain = () => {
      while (queue.length > 0) take(queue.shift()!);
    };
    for (let i = 0; i < 60; i++) {
      take(possible(random, world));
      drain();
      const resting = life.phase === "stopped" || life.phase === "failed";
      assertEquals(world.ending, life.phase === "stopping" || life.phase === "clearing");
      assertEquals(world.timer, life.phase === "backoff");
      if (resting) assert(!world.group, "at rest beside a living group");
      if (resting || life.phase === "running") assertEquals(starts, 0, "a start was forgotten");
      if (!world.ending) assertEquals(stops, 0, "a stop was forgotten");
    }
  });
});
