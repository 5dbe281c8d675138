/** The table of a worker's life, and random lives against its invariants. */

import { assert, assertEquals } from "@std/assert";
import {
  BORN,
  type Effect,
  isBusy,
  isFree,
  type Life,
  type LifeEvent,
  STATUS,
  step,
} from "../../../lib/pool/worker_life.ts";
import { forSeeds } from "../../kit/random.ts";

function play(...events: LifeEvent[]): { life: Life; effects: Effect[] } {
  let life = BORN;
  const effects: Effect[] = [];
  for (const event of events) {
    const next = step(life, event);
    life = next.life;
    effects.push(...next.effects);
  }
  return { life, effects };
}

const of = (type: Exclude<LifeEvent["type"], "mark" | "answered">): LifeEvent => ({ type });
const answered = (last = false): LifeEvent => ({ type: "answered", last });
const marked: LifeEvent = { type: "mark", mark: "ttl" };
const [proven, take, leave] = [of("proven"), of("take"), of("leave")];

Deno.test("a request and its answer", () => {
  const { life, effects } = play(proven, take, answered());
  assertEquals([life.state, effects], ["ready", ["offer", "offer"]]);
});

Deno.test("the last job ends it by itself, unless its successor stands already", () => {
  assertEquals(play(proven, take, answered(true)).effects, ["offer", "part", "stop"]);
  const replaced = play(proven, take, leave, answered(true));
  assertEquals([replaced.life.state, replaced.effects], ["stopping", ["offer", "stop"]]);
});

Deno.test("a marked worker takes requests until its successor stands", () => {
  const { life, effects } = play(proven, marked, take, answered(), take);
  assertEquals([life.state, effects], ["invalid", ["offer", "offer"]]);
  assertEquals(play(proven, take, marked, answered()).life.state, "ttlReached");
  assertEquals(play(proven, marked, leave).effects, ["offer", "withdraw", "stop"]);
});

Deno.test("exec_ttl, a crash, the end of the pool", () => {
  const late = play(proven, take, of("overdue"), of("gone"));
  assertEquals([late.life.state, late.effects], ["stopped", ["offer", "part", "terminate"]]);
  const dead = play(proven, of("fail"), of("gone"));
  assertEquals([dead.life.state, dead.effects], ["errored", ["offer", "withdraw", "part", "kill"]]);
  const over = play(proven, take, of("destroy"), of("gone"));
  assertEquals([over.life.state, over.effects], ["destroyed", ["offer", "terminate"]]);
  assertEquals(play(of("fail")).effects, ["kill"]);
});

Deno.test("random lives keep the invariants", () => {
  const all: LifeEvent[] = [
    proven,
    take,
    take,
    answered(),
    answered(),
    answered(true),
    { type: "mark", mark: "ttl" },
    { type: "mark", mark: "memory" },
    { type: "mark", mark: "idle_ttl" },
    of("quit"),
    of("overdue"),
    leave,
    of("fail"),
    of("destroy"),
    of("gone"),
  ];
  return forSeeds(2_000, (random) => {
    let life = BORN;
    let offered = false;
    let parted = 0;
    let ways = 0;
    for (let n = 0; n < 30; n++) {
      const event = random.pick(all);
      const before = life;
      const { life: next, effects } = step(life, event);
      life = next;
      for (const effect of effects) {
        if (effect === "offer") {
          assert(!offered && ways === 0);
          offered = true;
        } else if (effect === "withdraw") {
          assert(offered);
          offered = false;
        } else if (effect === "part") {
          assert(!before.leaving);
          parted++;
        } else ways++;
      }
      if (event.type === "take" && isFree(before)) offered = false;
      assertEquals(offered, isFree(life), `${before.state} ${event.type} ${life.state}`);
      assert(!(isFree(life) && isBusy(life)));
      assert(parted <= 1 && ways <= 1);
      assertEquals(life.ending, ways === 1);
      assert(life.state in STATUS);
      if (isBusy(before) && !isBusy(life)) {
        assert(["answered", "quit", "overdue", "fail", "destroy"].includes(event.type));
      }
    }
  });
});
