/** Running a start plan. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Starting, startInOrder } from "../../../lib/release/start_in_order.ts";
import { startOrder } from "../../../lib/release/start_order.ts";
import { turn } from "../../kit/manual_clock.ts";
import { forSeeds } from "../../kit/random.ts";
import { processOf, proxiedOf, randomProcesses } from "./configs.ts";

/** Starts that a test settles by hand. */
class Starts {
  readonly begun: string[] = [];
  readonly #by = new Map<
    string,
    { started: PromiseWithResolvers<void>; healthy: PromiseWithResolvers<void> }
  >();

  readonly start = (id: string): Starting => {
    this.begun.push(id);
    const started = Promise.withResolvers<void>();
    const healthy = Promise.withResolvers<void>();
    this.#by.set(id, { started, healthy });
    return { started: started.promise, healthy: healthy.promise };
  };

  of(id: string) {
    return this.#by.get(id)!;
  }
}

Deno.test("started is enough where started is asked for, healthy where healthy is", async () => {
  const plan = startOrder([
    processOf("a"),
    processOf("b", "companion", { depends_on: { a: "started" } }),
    processOf("c", "companion", { depends_on: { a: "healthy" } }),
  ]);
  const starts = new Starts();
  const all = startInOrder(plan, starts.start);
  await turn();
  assertEquals(starts.begun, ["a"]);
  starts.of("a").started.resolve();
  await turn();
  assertEquals(starts.begun, ["a", "b"]);
  starts.of("a").healthy.resolve();
  await turn();
  assertEquals(starts.begun, ["a", "b", "c"]);
  for (const id of ["b", "c"]) {
    starts.of(id).started.resolve();
    starts.of(id).healthy.resolve();
  }
  await all;
});

Deno.test("it ends only when everything is proven", async () => {
  const starts = new Starts();
  let over = false;
  const all = startInOrder(startOrder([processOf("a")]), starts.start).then(() => over = true);
  starts.of("a")?.started.resolve();
  await turn();
  starts.of("a").started.resolve();
  await turn();
  assertEquals(over, false);
  starts.of("a").healthy.resolve();
  await all;
});

Deno.test("an empty plan is done at once", () => startInOrder(new Map(), new Starts().start));

Deno.test("the first failure is told, though another start was refused because of it", async () => {
  const plan = startOrder([
    processOf("a"),
    processOf("b"),
    processOf("late", "companion", { depends_on: { b: "started" } }),
    proxiedOf("web"),
  ]);
  const starts = new Starts();
  const all = startInOrder(plan, starts.start);
  all.catch(() => {});
  await turn();
  // In one turn: the failure, and what lets another one start.
  starts.of("a").healthy.reject(new Error("a is broken"));
  starts.of("b").started.resolve();
  await assertRejects(() => all, Error, "a is broken");
  await turn();
  assertEquals(starts.begun, ["a", "b"]);
});

Deno.test("a start that throws at once is a failure like any other", async () => {
  const plan = startOrder([processOf("a"), processOf("b"), proxiedOf("web")]);
  const begun: string[] = [];
  const start = (id: string): Starting => {
    begun.push(id);
    throw new Error(`${id} is broken`);
  };
  await assertRejects(() => startInOrder(plan, start), Error, "a is broken");
  await turn();
  assertEquals(begun, ["a"]);
});

Deno.test("a failure that nobody waits for is not an unhandled one", async () => {
  const plan = startOrder([processOf("a"), processOf("b")]);
  const starts = new Starts();
  const all = startInOrder(plan, starts.start);
  all.catch(() => {});
  await turn();
  for (const id of ["a", "b"]) {
    starts.of(id).started.reject(new Error(id));
    starts.of(id).healthy.reject(new Error(id));
  }
  await assertRejects(() => all, Error, "a");
  await turn();
});

Deno.test("random plans: everything starts once and in order; nothing after a failure", () =>
  forSeeds(300, async (random) => {
    const processes = randomProcesses(random);
    const plan = startOrder(processes);
    const starts = new Starts();
    const state = new Map<string, "begun" | "started" | "healthy">();
    const start = (id: string): Starting => {
      assert(!state.has(id), `${id} was started twice`);
      state.set(id, "begun");
      const { started, healthy } = plan.get(id)!;
      for (const other of started) assert(state.get(other) !== "begun", `${id} before ${other}`);
      for (const other of healthy) assertEquals(state.get(other), "healthy");
      for (const other of [...started, ...healthy]) assert(state.has(other));
      return starts.start(id);
    };
    const failing = random.chance(0.5);
    let failed: Error | undefined;
    let count = 0;
    const all = startInOrder(plan, start);
    const end = all.then(() => undefined, (error) => error);
    await turn();
    for (;;) {
      const open = [...state].filter(([, it]) => it !== "healthy").map(([id]) => id);
      if (open.length === 0 || failed !== undefined) break;
      const id = random.pick(open);
      if (failing && random.chance(0.2)) {
        failed = new Error(`${id} is broken`);
        starts.of(id).healthy.reject(failed);
        count = starts.begun.length;
      } else if (state.get(id) === "begun") {
        state.set(id, "started");
        starts.of(id).started.resolve();
      } else {
        state.set(id, "healthy");
        starts.of(id).healthy.resolve();
      }
      await turn();
    }
    assertEquals(await end, failed);
    assertEquals(starts.begun.length, failed === undefined ? processes.length : count);
  }));
