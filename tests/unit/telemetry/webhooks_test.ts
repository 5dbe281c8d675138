/** Webhooks over real HTTP, with a clock of the test: order, retries, bounds, and who never waits. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { EventRecord } from "../../../lib/telemetry/events.ts";
import { Webhooks, type WebhookSettings } from "../../../lib/telemetry/webhooks.ts";
import { signature } from "../../../lib/telemetry/cloud_event.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { until } from "../../kit/wait.ts";

interface Received {
  headers: Headers;
  text: string;
  // deno-lint-ignore no-explicit-any
  body: any;
}

/** A receiver, hooks that know it, and what was told meanwhile. */
class Bench implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly told: [event: string, data: Record<string, unknown>][] = [];
  readonly clock = new ManualClock();
  readonly hooks: Webhooks;
  /** What the receiver answers, in order; then 204. A promise is waited for. */
  readonly answers: (number | Promise<number>)[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #seq = 0;

  constructor(settings: Partial<WebhookSettings>[] = [{}]) {
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async (request) => {
        const text = await request.text();
        this.received.push({ headers: request.headers, text, body: JSON.parse(text) });
        const status = await (this.answers.shift() ?? 204);
        const headers: HeadersInit = status === 302 ? { location: "/elsewhere" } : {};
        return new Response(null, { status, headers });
      },
    );
    const emit = (event: string, data: Record<string, unknown>) => {
      this.told.push([event, data]);
      this.put(event, data); // as the journal does
    };
    this.hooks = new Webhooks(
      { clock: this.clock, emit: emit as never, application: "shop" },
      settings.map((its) => ({ url: this.url(), events: ["*"], ...its })),
    );
  }

  url(path = "/hook/s3cret"): string {
    return `http://127.0.0.1:${this.#server.addr.port}${path}`;
  }

  put(event: string, data: Record<string, unknown> = {}, level = "info"): void {
    const at = "2030-01-01T00:00:00.000Z";
    this.hooks.put({ at, seq: ++this.#seq, level, event, data } as EventRecord);
  }

  /** Waits until so many requests have come. */
  come(count: number): Promise<true> {
    return until(`${count} requests`, () => this.received.length >= count);
  }

  stat(name: string): number {
    return (this.hooks.stats() as Record<string, number>)[name];
  }

  types(): string[] {
    return this.received.map(({ body }) => body.type.replace("supervisor.", ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hooks.configure([]);
    await this.#server.shutdown();
  }
}

Deno.test("an event is a CloudEvent, signed", async () => {
  await using bench = new Bench([{ secret: "key" }]);
  bench.put("process_exited", { process: "web#0", release: "v2", code: 1 }, "warn");
  await bench.come(1);
  const { headers, text, body } = bench.received[0];
  assertEquals(headers.get("content-type"), "application/cloudevents+json");
  assertEquals(headers.get("x-supervisor-signature"), await signature("key", text));
  const { id, ...rest } = body;
  assert(/^[0-9a-f]{8}-1$/.test(id), id);
  assertEquals(rest, {
    specversion: "1.0",
    source: "/supervisor/shop",
    type: "supervisor.process_exited",
    subject: "web#0",
    time: "2030-01-01T00:00:00.000Z",
    datacontenttype: "application/json",
    level: "warn",
    data: { process: "web#0", release: "v2", code: 1 },
  });
});

Deno.test("the signature is HMAC-SHA256 as everybody computes it", async () => {
  const expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
  assertEquals(await signature("key", "The quick brown fox jumps over the lazy dog"), expected);
});

Deno.test("a hook gets what it asked for; without a list warnings and errors", async () => {
  await using bench = new Bench([{ events: ["deploy_*", "daemon_ready"] }, { events: undefined }]);
  bench.put("deploy_started");
  bench.put("daemon_ready");
  bench.put("daemon_ready_not");
  bench.put("hook_failed", {}, "warn");
  bench.put("process_gave_up", {}, "error");
  bench.put("redeploy_x");
  await bench.come(4);
  await until("all to be taken", () => bench.stat("webhooks_delivered") === 4);
  assertEquals(bench.types().sort(), [
    "daemon_ready",
    "deploy_started",
    "hook_failed",
    "process_gave_up",
  ]);
  assertEquals(bench.received[0].headers.get("x-supervisor-signature"), null);
});

Deno.test("what fails is tried again under backoff, in order, and told once", async () => {
  await using bench = new Bench();
  bench.answers.push(500, 429, 503);
  bench.put("one");
  bench.put("two");
  for (const [tries, wait] of [[1, 1000], [2, 2000], [3, 4000]]) {
    await bench.come(tries);
    await until("the wait", () => bench.clock.next === wait);
    bench.clock.tick(wait);
  }
  await bench.come(5);
  await until("all to be taken", () => bench.stat("webhooks_delivered") === 2);
  assertEquals(bench.types(), ["one", "one", "one", "one", "two"]);
  assertEquals(new Set(bench.received.map(({ body }) => body.id)).size, 2);
  const webhook = new URL(bench.url()).origin;
  assertEquals(bench.told, [
    ["webhook_failed", { webhook, error: "answered 500", waiting: 2 }],
    ["webhook_recovered", { webhook, dropped: 0 }],
  ]);
  assertEquals(bench.stat("webhooks_retried"), 3);
});

Deno.test("after the last try an event is given up, and the next one has its own tries", async () => {
  await using bench = new Bench();
  bench.answers.push(...Array.from({ length: 9 }, () => 500));
  bench.put("one");
  for (let tries = 1; tries <= 8; tries++) {
    await bench.come(tries);
    await until("the wait", () => bench.clock.pending === 1 && (bench.clock.next ?? 0) < 61_000);
    await until("a retry", () => bench.stat("webhooks_retried") === tries);
    await until("the wait", () => bench.clock.pending === 1);
    bench.clock.tick(60_000);
  }
  await until("it to be given up", () => bench.stat("webhooks_dropped") === 1);
  bench.put("two");
  await bench.come(10);
  await until("the next to be taken", () => bench.stat("webhooks_delivered") === 1);
  assertEquals(bench.told.at(-1)?.[0], "webhook_recovered");
  assertEquals(bench.told.at(-1)?.[1].dropped, 1);
});

for (const status of [400, 404, 410, 302]) {
  Deno.test(`after ${status} an event is given up at once`, async () => {
    await using bench = new Bench();
    bench.answers.push(status);
    bench.put("one");
    bench.put("two");
    await until("the next to be taken", () => bench.stat("webhooks_delivered") === 1);
    assertEquals(bench.types(), ["one", "two"]);
    assertEquals([bench.stat("webhooks_dropped"), bench.stat("webhooks_retried")], [1, 0]);
  });
}

Deno.test("one that does not answer is left after its limit; its address is never told", async () => {
  await using bench = new Bench();
  const never = Promise.withResolvers<number>();
  bench.answers.push(never.promise);
  bench.put("one");
  await bench.come(1);
  bench.clock.tick(10_000);
  await until("that to be told", () => bench.told.length === 1);
  assertStringIncludes(String(bench.told[0][1].error), "no answer within 10000 ms");
  never.resolve(204);
  bench.hooks.configure([{ url: "http://127.0.0.1:1/hook/s3cret", events: ["*"] }]);
  bench.put("two");
  await until("that to be told, too", () => bench.told.length === 2);
  assert(!JSON.stringify(bench.told).includes("s3cret"), JSON.stringify(bench.told));
});

Deno.test("what waits is bounded: the oldest give way", async () => {
  await using bench = new Bench();
  const gate = Promise.withResolvers<number>();
  bench.answers.push(gate.promise);
  for (let i = 0; i < 1500; i++) bench.put(`event_${i}`);
  assertEquals(bench.stat("webhooks_dropped"), 500);
  await bench.come(1);
  gate.resolve(204);
  await until("all to be taken", () => bench.stat("webhooks_delivered") === 1000);
  assertEquals(bench.types().at(-1), "event_1499");
});

Deno.test("a reload: hooks that stay keep what waits, others lose it", async () => {
  await using bench = new Bench();
  const gate = Promise.withResolvers<number>();
  bench.answers.push(gate.promise);
  bench.put("one");
  bench.put("two");
  await bench.come(1);
  bench.hooks.configure([{ url: bench.url(), events: ["*"] }]);
  assertEquals(bench.stat("webhooks_dropped"), 0);
  bench.hooks.configure([{ url: bench.url(), events: ["*"], secret: "new" }]);
  assertEquals(bench.stat("webhooks_dropped"), 2);
  bench.put("three");
  await bench.come(2);
  gate.resolve(204);
  await until("it to be taken", () => bench.stat("webhooks_delivered") === 1);
  assertEquals(bench.types(), ["one", "three"]);
  bench.hooks.configure([]);
  bench.put("four");
  assertEquals(bench.hooks.stats(), {});
});

Deno.test("the end waits for a hook that works, for a moment, and for none that fails", async () => {
  await using bench = new Bench();
  bench.put("one");
  bench.put("two");
  await bench.hooks[Symbol.asyncDispose]();
  assertEquals(bench.types(), ["one", "two"]);

  await using failing = new Bench();
  failing.answers.push(500);
  failing.put("one");
  await until("the failure", () => failing.told.length === 1);
  await failing.hooks[Symbol.asyncDispose](); // the clock of the test stands still
  assertEquals(failing.received.length, 1);
});
