/** How long a start and an end may take. */

import { assertEquals } from "@std/assert";
import * as defaults from "../../../lib/config/defaults.ts";
import { startBudget, stopBudget } from "../../../lib/daemon/budget.ts";
import { configOf, processOf, proxiedOf, proxyOf } from "../release/configs.ts";

const SECOND = 1_000;

Deno.test("a start: every probe, one after the other", () => {
  const health = (timeout: number, start_delay: number) => ({
    health: { kind: "http" as const, ...defaults.HEALTH, timeout, start_delay },
  });
  const config = configOf([
    processOf("beacon", "service", health(10 * SECOND, 0)),
    processOf("worker"),
    proxiedOf("web", health(30 * SECOND, 5 * SECOND)),
  ]);
  assertEquals([startBudget(config), startBudget(configOf([]))], [45 * SECOND, 0]);
});

Deno.test("an end: the drain, then the slowest of each tier", () => {
  const graceful = (seconds: number) => ({ graceful_stop: seconds * SECOND });
  const proxy = proxyOf({ drain_timeout: 60 * SECOND });
  const config = configOf([
    processOf("beacon", "service", graceful(1)),
    processOf("queue", "service", { ...graceful(2), deploy_strategy: "handoff" }),
    processOf("worker", "companion", {
      ...graceful(10),
      lifecycle: { drain_timeout: 100 * SECOND },
    }),
    proxiedOf("web", graceful(10)),
    processOf("cron", "singleton", graceful(3)),
  ], { proxy });
  const tiers = [100 + 30 + 5, 9 + 5, 6 + 5, 3 + 5];
  assertEquals(stopBudget(config), (60 + tiers.reduce((a, b) => a + b)) * SECOND);
  assertEquals(stopBudget(configOf([], { proxy: undefined })), 0);
});

Deno.test("workers: their start and on_init, their drain and their end", () => {
  const pool = { allocate_timeout: 60 * SECOND, destroy_timeout: 30 * SECOND };
  const http = { pool, drain_timeout: 90 * SECOND };
  const server = { relay: "pipes", env: {}, on_init: { exec_timeout: 10 * SECOND } };
  const config = configOf([], { proxy: undefined, sections: { http, server } });
  assertEquals(startBudget(config), 70 * SECOND);
  assertEquals(stopBudget(config), (90 + 30 + 25) * SECOND);
});

Deno.test("what may take for ever is given a day", () => {
  const config = configOf([processOf("worker", "companion", { graceful_stop: "indefinite" })], {
    proxy: undefined,
  });
  assertEquals(stopBudget(config), 24 * 3_600 * SECOND);
});
