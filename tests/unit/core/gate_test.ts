/**
 * The gate, twice: by random sequences of events against a model (gate_model.ts), and by single cases
 * for what randomness reaches too seldom.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Gate, MAX_WAITING } from "../../../lib/core/gate.ts";
import { CountedSignal } from "../../kit/counted_signal.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { forSeeds } from "../../kit/random.ts";
import { Twin } from "./gate_model.ts";

/** Sequences, and events in each. */
const RUNS = 400;
const EVENTS = 150;

/** One random event; returns its name. */
function step(twin: Twin): string {
  const { random } = twin;
  const inHand = twin.works.filter((work) => work.lease !== undefined);
  const drains = twin.eras.filter((era) => era.drain !== undefined);
  const signals = twin.arrivals.flatMap(({ signal }) => signal ? [signal] : []);
  const events: [weight: number, name: string, run: () => void][] = [
    [20, "lease", () => twin.lease()],
    [10, "arrive", () => twin.arrive()],
    [10, "arrive with signal", () => twin.arrive(new CountedSignal())],
    [4, "swap", () => twin.swap(`target ${twin.eras.length}`)],
    [1, "swap to nothing", () => twin.swap(undefined)],
    [5, "hold", () => twin.hold(random.pick([0, 1, 10, 100, 100, 1000, Infinity]))],
    [3, "open", () => twin.open()],
    [10, "advance", () => twin.advance(random.pick([0, 1, 5, 10, 50, 100, 500]))],
  ];
  if (inHand.length > 0) {
    events.push([25, "release", () => twin.release(random.pick(inHand))]); // Often one given back before.
    events.push([3, "release all of one", () => {
      const { era } = random.pick(inHand);
      for (const work of twin.inHand(era)) twin.release(work);
    }]);
  }
  const deaf = inHand.filter((work) => work.habit === undefined);
  if (deaf.length > 0) events.push([3, "listen late", () => twin.listen(random.pick(deaf))]);
  if (drains.length > 0) {
    const recent = () => random.pick(drains.slice(-3));
    const some = [-200, -10, 0, 1, 10, 50, 200, 1000, Infinity];
    events.push([4, "within", () => twin.within(recent(), random.pick(some))]);
    events.push([3, "extend", () => twin.extend(recent(), random.pick(some.slice(0, -1)))]);
    events.push([2, "cut", () => twin.cut(recent())]);
  }
  if (signals.length > 0) {
    events.push([4, "abort", () => twin.abort(random.pick(signals.slice(-5)))]);
    events.push([2, "arrive with an old signal", () => twin.arrive(random.pick(signals))]);
  }
  let ticket = random.next() * events.reduce((sum, [weight]) => sum + weight, 0);
  const [, name, run] = events.find(([weight]) => (ticket -= weight) < 0) ?? events[0];
  run();
  return name;
}

Deno.test("gate: any sequence of events agrees with the model", async () => {
  await forSeeds(RUNS, async (random) => {
    const twin = new Twin(random);
    const names: string[] = [];
    // Some sequences are dense (many events in one turn of the loop), some settle after each event.
    const pause = random.pick([0.1, 0.4, 1]);
    try {
      for (let count = 0; count < EVENTS; count++) {
        names.push(step(twin));
        twin.check();
        if (random.chance(pause)) {
          names.push("–");
          await twin.checkSettled();
        }
      }
      // Whatever happened: with the work given back and the gate open, nothing is left.
      twin.open();
      await twin.checkSettled();
      for (const work of twin.works) twin.release(work);
      twin.swap(undefined);
      await twin.checkSettled();
      assert(twin.eras.every((era) => era.idle));
      assertEquals(twin.clock.pending, 0);
      assertEquals(twin.gate.waiting, 0);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`${text}\nafter: ${names.slice(-25).join(", ")}`, { cause: error });
    }
  });
});

Deno.test("gate: a swap drains what was live, and new work goes to the new target", async () => {
  const gate = new Gate<string>(new ManualClock());
  assertEquals(gate.lease(), undefined, "nothing is live yet");
  gate.swap("v1");
  const first = gate.lease()!;
  const draining = gate.swap("v2");
  const idle = draining.idle.then(() => "idle");
  assertEquals([first.target, first.draining, draining.held], ["v1", true, 1]);
  {
    using second = gate.lease()!;
    assertEquals([second.target, second.draining, gate.held], ["v2", false, 1]);
  }
  assertEquals(gate.held, 0, "`using` gives back");
  assertEquals(await Promise.race([idle, turn()]), undefined, "not idle while v1 is held");
  first.release();
  assertEquals(await idle, "idle");
});

Deno.test("gate: a swap to the same value is a swap like any other", () => {
  const gate = new Gate<string>(new ManualClock());
  gate.swap("v1");
  const lease = gate.lease()!;
  const draining = gate.swap("v1");
  assertEquals([lease.draining, draining.held, gate.held], [true, 1, 0]);
});

Deno.test("gate: never more than MAX_WAITING wait, also when a hold follows a hold at once", async () => {
  const clock = new ManualClock();
  const gate = new Gate<string>(clock);
  gate.swap("v1");
  const fill = () => Array.from({ length: MAX_WAITING }, () => gate.arrive());
  gate.hold(1000);
  const first = fill();
  assertEquals(gate.waiting, MAX_WAITING);
  assertEquals(await gate.arrive(), undefined, "one too many is turned away at once");
  gate.open();
  gate.hold(1000);
  const second = fill();
  await turn();
  assertEquals(gate.waiting, MAX_WAITING);
  assert((await Promise.all(first)).every((lease) => lease?.target === "v1"));
  clock.tick(1000);
  assert((await Promise.all(second)).every((lease) => lease === undefined));
  assertEquals(clock.pending, 0);
});

Deno.test("gate: who waited goes on at open() though the gate is held or emptied right after", async () => {
  const gate = new Gate<string>(new ManualClock());
  gate.hold(1000);
  const one = gate.arrive();
  gate.swap("v1");
  gate.hold(1000);
  const two = gate.arrive();
  gate.swap("v2");
  const last = gate.swap(undefined);
  assertEquals((await one)?.target, "v1");
  assertEquals((await two)?.target, "v2");
  assertEquals(last.held, 1);
});

Deno.test("gate: an arrival that goes away leaves with its own reason and no lease", async () => {
  const gate = new Gate<string>(new ManualClock());
  gate.swap("v1");
  const gone = new AbortController();
  gate.hold(1000);
  const held = gate.arrive(gone.signal);
  gone.abort(new Error("closed by peer"));
  gate.open();
  await assertRejects(() => held, Error, "closed by peer");
  await assertRejects(() => gate.arrive(gone.signal), Error, "closed by peer");
  assertEquals(gate.held, 0);
});

Deno.test("gate: a cut reaches an arrival that was let through and has not run yet", async () => {
  const gate = new Gate<string>(new ManualClock());
  gate.hold(1000);
  const arriving = gate.arrive();
  gate.swap("v1");
  gate.swap("v2").cut();
  const lease = (await arriving)!;
  let told = 0;
  lease.onCut = () => told++;
  lease.onCut = () => told++;
  assertEquals(told, 1);
});

Deno.test("gate: holders that throw when cut do not keep others from being told", async () => {
  const gate = new Gate<string>(new ManualClock());
  const told: string[] = [];
  const hold = (name: string, fails: boolean) => {
    gate.lease()!.onCut = () => {
      told.push(name);
      if (fails) throw new Error(`${name} failed`);
    };
  };
  gate.swap("v1");
  hold("a", true);
  hold("b", false);
  const one = gate.swap("v2");
  assertThrows(() => one.cut(), Error, "a failed");
  hold("c", true);
  hold("d", true);
  hold("e", false);
  const several = gate.swap("v3");
  const error = assertThrows(() => several.cut(), AggregateError);
  assertEquals(error.errors.map((error: Error) => error.message), ["c failed", "d failed"]);
  assertEquals(told, ["a", "b", "c", "d", "e"]);
  await Promise.all([one.idle, several.idle]);
});

Deno.test("gate: a holder is told once, also when it listens again after it was told", () => {
  const gate = new Gate<string>(new ManualClock());
  let told = 0;
  gate.swap("v1");
  const lease = gate.lease()!;
  lease.onCut = () => told++;
  gate.swap("v2").cut();
  lease.onCut = () => told++;
  assertEquals(told, 1);
  assertEquals(lease.onCut, undefined, "a lease given back keeps nothing of its holder alive");
});

Deno.test("gate: it knows the targets that are still held, until they are not", async () => {
  const clock = new ManualClock();
  const gate = new Gate<string>(clock);
  const drainings = [];
  const leases = [];
  for (const target of ["a", "b", "c"]) {
    drainings.push(gate.swap(target));
    leases.push(gate.lease()!);
  }
  assertEquals(gate.draining, drainings.slice(1));
  leases[0].release();
  await turn();
  assertEquals(gate.draining, drainings.slice(2));
  leases[1].release();
  leases[2].release();
  gate.swap(undefined);
  await turn();
  assertEquals(gate.draining, []);
});

Deno.test("gate: atMost() never moves a bound to a later time", async () => {
  const clock = new ManualClock();
  const gate = new Gate<string>(clock);
  gate.swap("a");
  gate.lease();
  const draining = gate.swap("b");
  draining.atMost(10_000);
  assertEquals(draining.deadline, clock.now() + 10_000);
  draining.atMost(1_000);
  draining.atMost(10_000);
  await clock.advance(999);
  assertEquals(draining.held, 1);
  await clock.advance(1);
  assertEquals([draining.held, draining.wasCut], [0, 1]);
});
