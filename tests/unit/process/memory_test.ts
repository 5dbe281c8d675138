import { assertEquals } from "@std/assert";
import { judge, MemoryWatch } from "../../../lib/process/memory.ts";
import { FakeSystem } from "../../kit/fake_system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

const SPEC = { argv: ["program"], cwd: "/", env: {} };

/** A watch, and a way to watch programs that note when they are sampled. */
function watching() {
  const clock = new ManualClock();
  const system = new FakeSystem(clock);
  const watch = new MemoryWatch(system);
  const samples: string[] = [];
  const add = (name: string, interval: number, then = () => {}) => {
    const { pid } = system.spawn(SPEC);
    const sampled = () => {
      samples.push(`${name} ${clock.now()}`);
      then();
    };
    return watch.watch({ pid, interval, sampled });
  };
  return { clock, watch, samples, add };
}

Deno.test("programs of one interval are sampled in one turn, whenever they began", async () => {
  const { clock, samples, add } = watching();
  add("a", 500);
  await clock.advance(300);
  add("b", 500);
  add("c", 200);
  await clock.advance(700);
  assertEquals(samples, [
    "c 400",
    "a 500",
    "b 500",
    "c 600",
    "c 800",
    "a 1000",
    "b 1000",
    "c 1000",
  ]);
});

Deno.test("who is removed by another's sample is not sampled in that turn", async () => {
  const { clock, samples, add } = watching();
  add("a", 500, () => endOfB());
  const endOfB = add("b", 500);
  await clock.advance(500);
  assertEquals(samples, ["a 500"]);
});

Deno.test("no timer while nobody is watched", () => {
  const { clock, watch, add } = watching();
  const ends = [add("a", 500), add("b", 700)];
  assertEquals([watch.size, clock.pending], [2, 1]);
  for (const end of [...ends, ...ends]) end();
  assertEquals([watch.size, clock.pending], [0, 0]);
});

Deno.test("judge: over the limit, over the warning mark, or fine; a warning mark of 0 is none", () => {
  const marks = { limit: 200, warn: 100 };
  assertEquals([100, 101, 200, 201].map((bytes) => judge(bytes, marks)), [
    "fine",
    "warn",
    "warn",
    "limit",
  ]);
  assertEquals(judge(150, { limit: 200, warn: 0 }), "fine");
});
