import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Emit, EventRecord } from "../../../lib/telemetry/events.ts";
import { Journal } from "../../../lib/telemetry/journal.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

function bench(kept?: number) {
  const clock = new ManualClock();
  const written: EventRecord[] = [];
  const journal = new Journal(clock, { write: (record) => written.push(record) }, kept);
  return { clock, written, journal };
}

Deno.test("an event becomes one record: in the log, in memory, for followers", async () => {
  const { clock, written, journal } = bench();
  const follower = journal.query({ follow: true });
  clock.tick(1500);
  journal.emit("process_gave_up", { process: "web", tries: 5, window_ms: 60_000 });
  const record = {
    at: "2030-01-01T00:00:01.500Z",
    seq: 1,
    level: "error",
    event: "process_gave_up",
    data: { process: "web", tries: 5, window_ms: 60_000 },
  };
  assertEquals(written, [record] as EventRecord[]);
  assertEquals(journal.list(), [record] as EventRecord[]);
  assertEquals((await follower.next()).value, record);
  await follower.return!();
});

Deno.test("the last ones are kept, with a limit fewer", () => {
  const { journal } = bench(3);
  for (let i = 0; i < 5; i++) journal.emit("daemon_stopped", { exit: i });
  assertEquals(journal.list().map(({ seq }) => seq), [3, 4, 5]);
  assertEquals(journal.list(2).map(({ seq }) => seq), [4, 5]);
  assertEquals(journal.list(0), []);
  assertEquals(journal.stats().events, 5);
});

Deno.test("the past and what comes, without gap or repetition", async () => {
  const { journal } = bench();
  for (let i = 0; i < 10; i++) journal.emit("daemon_stopped", { exit: i });
  const follower = journal.query({ limit: 4, follow: true });
  for (let i = 10; i < 20; i++) journal.emit("daemon_stopped", { exit: i });
  journal.close();
  const seen = await Array.fromAsync(follower);
  assertEquals(seen.map(({ seq }) => seq), [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
});

Deno.test("without follow it ends; an aborted one ends, too", async () => {
  const { journal } = bench();
  journal.emit("daemon_stopped", { exit: 0 });
  assertEquals((await Array.fromAsync(journal.query({}))).length, 1);
  const control = new AbortController();
  const follower = journal.query({ limit: 0, follow: true }, control.signal);
  const next = follower.next();
  control.abort();
  assertEquals((await next).done, true);
  assertEquals(journal.stats().followers, 0);
});

Deno.test("one that does not read is dropped with a last record", async () => {
  const { journal } = bench();
  const follower = journal.query({ limit: 0, follow: true });
  for (let i = 0; i < 5000; i++) journal.emit("daemon_stopped", { exit: i });
  const seen = await Array.fromAsync(follower);
  assertEquals(seen.length, 4097);
  assertEquals(seen.at(-1)?.event, "follower_dropped");
  assertEquals(seen.at(-1)?.data, { of: "events" });
  assertEquals(journal.stats(), { events: 5000, followers: 0, followers_dropped: 1 });
});

Deno.test("facts are copied, bounded, plain, and never an environment", () => {
  const { journal } = bench();
  const emit = journal.emit as (event: string, data: unknown) => void;
  const changes = ["a"];
  journal.emit("config_reloaded", { changes });
  changes.push("b");
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const throwing = {
    get bad(): string {
      throw new Error("no fact");
    },
  };
  const detail = { argv: ["x"], env: { TOKEN: "secret" }, deep: [{ environment: "secret" }] };
  emit("internal_error", { error: new TypeError("told"), big: 10n, long: "x".repeat(100_000) });
  emit("internal_error", cycle);
  emit("internal_error", throwing);
  emit("internal_error", undefined);
  emit("process_start_failed", { process: "web", error: "e", detail });
  emit("internal_error", { many: Array.from({ length: 30_000 }, () => "xxxxxxxx") });
  const data = journal.list().map((record) => record.data);
  assertEquals(data[0], { changes: ["a"] });
  assertEquals([data[1].error, data[1].big], ["told", "10"]);
  assertEquals((data[1].long as string).length, 8193);
  assertStringIncludes(data[2].unprintable as string, "circular");
  assertEquals(data[3], { unprintable: "no fact" });
  assertEquals(data[4], {});
  assertEquals(data[5], { process: "web", error: "e", detail: { argv: ["x"], deep: [{}] } });
  assertEquals((data[6].truncated as string).length, 8192);
});

Deno.test("emit can be handed on by itself", () => {
  const { journal } = bench();
  const emit: Emit = journal.emit;
  emit("daemon_ready", { started_in_ms: 12 });
  assertEquals(journal.list()[0].level, "info");
});

Deno.test("requests go to the log alone, and drive nothing out of memory", () => {
  const { journal, written } = bench(2);
  journal.emit("daemon_stopped", { exit: 0 });
  const request = { method: "GET", target: "/", status: 200, client: "::1", ms: 1, bytes: 2 };
  for (let i = 0; i < 5; i++) journal.emit("http_request", request);
  journal.emit("daemon_stopped", { exit: 1 });
  assertEquals(journal.list().map(({ event, seq }) => [event, seq]), [
    ["daemon_stopped", 1],
    ["daemon_stopped", 2],
  ]);
  assertEquals(written.map(({ seq }) => seq), [1, 1, 1, 1, 1, 1, 2]);
});
