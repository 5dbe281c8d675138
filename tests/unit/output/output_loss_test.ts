import { assertEquals } from "@std/assert";
import { Loss } from "../../../lib/process/output_loss.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

function bench() {
  const clock = new ManualClock();
  const told: [unknown, unknown][] = [];
  const loss = new Loss(clock, (_, data) => {
    const { process, lines } = data as { process: string; lines: number };
    told.push([process, lines]);
  });
  return { clock, told, loss };
}
const WEB = { instance: "web", id: "web", release: "v1" };
const JOBS = { instance: "jobs", id: "jobs", release: null };

Deno.test("the first loss is told at once, later ones once a minute with their sum", async () => {
  const { clock, told, loss } = bench();
  loss.count(WEB, 5, "full");
  for (let i = 0; i < 100; i++) loss.count(WEB, 2, "full");
  loss.count(JOBS, 1, "full");
  assertEquals(told, [["web", 5], ["jobs", 1]]);
  await clock.advance(59_999);
  assertEquals(told.length, 2);
  await clock.advance(1);
  assertEquals(told.slice(2), [["web", 200]]);
  assertEquals(loss.lines, 206);
});

Deno.test("after a quiet minute nothing is kept, and the next loss is told at once", async () => {
  const { clock, told, loss } = bench();
  loss.count(WEB, 1, "full");
  await clock.advance(60_000);
  assertEquals([told.length, clock.pending], [1, 0]);
  loss.count(WEB, 1, "full");
  assertEquals(told.length, 2);
  loss.close();
});

Deno.test("what is not yet told is told at the end", () => {
  const { clock, told, loss } = bench();
  loss.count(WEB, 1, "full");
  loss.count(WEB, 7, "full");
  loss.close();
  assertEquals([told, clock.pending], [[["web", 1], ["web", 7]], 0]);
});
