/** The order in which the processes of a deploy start. */

import { assert, assertEquals } from "@std/assert";
import type { Policy } from "../../../lib/config/config.ts";
import { startOrder, type Waits } from "../../../lib/release/start_order.ts";
import { forSeeds } from "../../kit/random.ts";
import { processOf, proxiedOf, randomProcesses } from "./configs.ts";

const TIERS: Policy[] = ["service", "companion", "proxied"];

function waitsOf(plan: Map<string, Waits>): Record<string, string[]> {
  return Object.fromEntries(
    [...plan].map(([id, { started, healthy }]) => [id, [...started, ...healthy].sort()]),
  );
}

/** What `id` waits for, through others too. */
function reach(plan: Map<string, Waits>, id: string, seen = new Set<string>()): Set<string> {
  const { started, healthy } = plan.get(id)!;
  for (const other of [...started, ...healthy]) {
    if (!seen.has(other)) reach(plan, other, seen.add(other));
  }
  return seen;
}

Deno.test("services start first, then companions, then what is proxied", () => {
  const plan = startOrder([proxiedOf("web"), processOf("worker"), processOf("beacon", "service")]);
  assertEquals(waitsOf(plan), { web: ["beacon", "worker"], worker: ["beacon"], beacon: [] });
  assertEquals(plan.get("web")!.healthy, []);
});

Deno.test("depends_on says whether started or healthy is waited for", () => {
  const plan = startOrder([
    processOf("a"),
    processOf("b", "companion", { depends_on: { a: "healthy" } }),
    processOf("c", "companion", { depends_on: { a: "started", b: "started" } }),
    proxiedOf("web", { depends_on: { b: "healthy" } }),
  ]);
  assertEquals(plan.get("b"), { started: [], healthy: ["a"] });
  assertEquals(plan.get("c"), { started: ["a", "b"], healthy: [] });
  assertEquals(plan.get("web"), { started: ["a", "c"], healthy: ["b"] });
});

Deno.test("what is not started in this deploy is not waited for", () => {
  const plan = startOrder([processOf("a", "companion", { depends_on: { broker: "healthy" } })]);
  assertEquals(plan.get("a"), { started: [], healthy: [] });
});

Deno.test("a companion that depends on the proxied process comes after it", () => {
  const plan = startOrder([
    proxiedOf("web"),
    processOf("warmer", "companion", { depends_on: { web: "healthy" } }),
    processOf("worker"),
  ]);
  assertEquals(waitsOf(plan), { web: [], warmer: ["web"], worker: [] });
});

Deno.test("processes that need each other across tiers make no circle", () => {
  // Each companion would wait for the service that waits for the other one.
  const plan = startOrder([
    processOf("s1", "service", { depends_on: { c1: "started" } }),
    processOf("s2", "service", { depends_on: { c2: "started" } }),
    processOf("c1"),
    processOf("c2"),
    processOf("c3"),
  ]);
  for (const id of plan.keys()) assert(!reach(plan, id).has(id), id);
  assertEquals([...reach(plan, "c3")].sort(), ["c1", "c2", "s1", "s2"]);
});

Deno.test("a process named like something every object has is waited for", () => {
  const plan = startOrder([processOf("constructor", "service"), processOf("worker")]);
  assertEquals(waitsOf(plan).worker, ["constructor"]);
});

Deno.test("random graphs: no circle, depends_on kept, tiers kept where they can be", () =>
  forSeeds(300, (random) => {
    const processes = randomProcesses(random);
    const plan = startOrder(processes);
    assertEquals([...plan.keys()], processes.map(({ id }) => id));
    const hard = startOrder(processes.map((process) => ({ ...process, policy: "companion" })));
    for (const process of processes) {
      const { started, healthy } = plan.get(process.id)!;
      assert(!reach(plan, process.id).has(process.id), `${process.id} waits for itself`);
      assertEquals(new Set([...started, ...healthy]).size, started.length + healthy.length);
      for (const [id, condition] of Object.entries(process.depends_on)) {
        assert(plan.get(process.id)![condition].includes(id), `${process.id} needs ${id}`);
      }
      for (const other of processes) {
        if (TIERS.indexOf(other.policy) >= TIERS.indexOf(process.policy)) continue;
        // Needed by something as early as the other one: both are of the same tier then.
        const movedUp = processes.some((one) =>
          TIERS.indexOf(one.policy) <= TIERS.indexOf(other.policy) &&
          reach(hard, one.id).has(process.id)
        );
        assert(movedUp || reach(plan, process.id).has(other.id), `${process.id} after ${other.id}`);
      }
    }
  }));
