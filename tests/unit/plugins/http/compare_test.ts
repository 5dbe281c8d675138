/** What a change of the http section does. */

import { assertEquals } from "@std/assert";
import type { HttpConfig } from "../../../../lib/config/roadrunner/http.ts";
import { http } from "../../../../plugins/http/mod.ts";
import { httpOf } from "./kit.ts";

const SSL = {
  address: { host: "127.0.0.1", port: 443 },
  redirect: false,
  cert: "/a.pem",
  key: "/a.key",
};

/** Field and effect of each difference. */
function changes(old: Partial<HttpConfig>, next: Partial<HttpConfig>): string[] {
  return http.section.compare!(httpOf(old), httpOf(next)).map(({ field, effect }) =>
    `${field}: ${effect}`
  );
}

function pool(more: Partial<HttpConfig["pool"]>): Partial<HttpConfig> {
  return { pool: { ...httpOf().pool, ...more } };
}

Deno.test("equal sections differ in nothing; one that comes or goes is a new generation", () => {
  assertEquals(http.section.compare!(httpOf(), httpOf()), []);
  assertEquals(http.section.compare!(undefined, undefined), []);
  const added = [{ field: "http", effect: "generation", reason: "added" }] as const;
  assertEquals(http.section.compare!(undefined, httpOf()), [...added]);
  assertEquals(http.section.compare!(httpOf(), undefined)[0].reason, "removed");
});

Deno.test("live: what concerns requests and the limits of the pool", () => {
  assertEquals(
    changes({}, {
      internal_error_code: 500,
      access_logs: true,
      max_request_size: 1,
      raw_body: true,
      middleware: ["gzip"],
      drain_timeout: 1,
    }).sort(),
    [
      "http.access_logs: live",
      "http.drain_timeout: live",
      "http.internal_error_code: live",
      "http.max_request_size: live",
      "http.middleware: live",
      "http.raw_body: live",
    ],
  );
  const { supervisor } = httpOf().pool;
  const dynamic_allocator = { max_workers: 2, spawn_rate: 1, idle_timeout: 1 };
  const limits = pool({
    dynamic_allocator,
    max_jobs: 9,
    supervisor: { ...supervisor, ttl: 1 },
    max_surge: 4,
  });
  assertEquals(changes({}, limits).sort(), [
    "http.pool.dynamic_allocator: live",
    "http.pool.max_jobs: live",
    "http.pool.max_surge: live",
    "http.pool.supervisor.ttl: live",
  ]);
});

Deno.test("generation: what workers are made of", () => {
  assertEquals(changes({}, { encoding: "protobuf" }), ["http.encoding: generation"]);
  const made = pool({
    command: ["php", "b.php"],
    num_workers: 7,
    debug: true,
    warmup: { path: "/" },
  });
  assertEquals(changes({}, made).map((change) => change.split(": ")), [
    ["http.pool.debug", "generation"],
    ["http.pool.num_workers", "generation"],
    ["http.pool.command", "generation"],
    ["http.pool.warmup", "generation"],
  ]);
  assertEquals(
    changes(pool({ warmup: { path: "/" } }), pool({ warmup: { path: "/b" } })),
    ["http.pool.warmup.path: generation"],
  );
});

Deno.test("listener: addresses, as one; TLS that comes or goes", () => {
  assertEquals(changes({}, { address: { host: "::1", port: 1 } }), ["http.address: listener"]);
  assertEquals(changes({}, { address: { path: "/a.sock" } }), ["http.address: listener"]);
  assertEquals(changes({}, { ssl: SSL }), ["http.ssl: listener"]);
  const moved = { ...SSL, address: { host: "127.0.0.1", port: 444 }, cert: "/b.pem" };
  assertEquals(changes({ ssl: SSL }, { ssl: moved }), [
    "http.ssl.address: listener",
    "http.ssl.cert: listener",
  ]);
  assertEquals(changes({ ssl: SSL }, { ssl: { ...SSL, redirect: true } }), [
    "http.ssl.redirect: live",
  ]);
});

Deno.test("refused, with the reason: another certificate on the same address", () => {
  const [change] = http.section.compare!(
    httpOf({ ssl: SSL }),
    httpOf({ ssl: { ...SSL, key: "/b.key" } }),
  );
  assertEquals([change.field, change.effect], ["http.ssl.key", "refused"]);
  assertEquals(change.reason?.includes("restart the daemon"), true);
});
