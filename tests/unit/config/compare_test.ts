/** Field by field: what a new configuration changes and how it takes effect. */

import { assert, assertEquals } from "@std/assert";
import type { Config, Effect } from "../../../lib/config/config.ts";
import { compare } from "../../../lib/config/mod.ts";
import { configOf } from "./kit.ts";

const BASE = `
application: shop
control: { socket: /c.sock }
state_dir: /state
proxy: { address: 127.0.0.1:1, upstream_host: 127.0.0.1 }
processes:
  web: { policy: proxied, command: [a, b], port: 1000-1100, env: { A: 1 }, memory: { limit: 1MB } }
  job: { command: job }
  db: { policy: service, command: db, port: 0 }
release_retention: { keep: 3 }
`;

async function changes(overrides: string[]): Promise<[string, Effect][]> {
  const old = await configOf(BASE);
  const next = await configOf(BASE, { overrides });
  // Each is read in a directory of its own; only the place differs.
  const moved: Config = { ...next, file: old.file, dir: old.dir };
  return compare(old, moved).map(({ field, effect }) => [field, effect]);
}

const TABLE: [override: string, field: string, effect: Effect][] = [
  ["application=other", "application", "refused"],
  ["control.socket=/d.sock", "control.socket", "refused"],
  ["control.mode=660", "control.mode", "refused"],
  ["control.group=x", "control.group", "refused"],
  ["state_dir=/other", "state_dir", "refused"],
  ["proxy.address=127.0.0.1:2", "proxy.address", "listener"],
  ["proxy.front=serve", "proxy.front", "listener"],
  ["proxy.upstream_host=::1", "proxy.upstream_host", "generation"],
  ["proxy.drain_timeout=1s", "proxy.drain_timeout", "live"],
  ["proxy.force_stop_timeout=1s", "proxy.force_stop_timeout", "live"],
  ["proxy.timeouts.idle=1s", "proxy.timeouts.idle", "live"],
  ["proxy.limits.body=1MB", "proxy.limits.body", "live"],
  ["proxy.trusted_proxies=[::1]", "proxy.trusted_proxies", "live"],
  ["proxy.hold=1s", "proxy.hold", "live"],
  ["proxy.health.interval=1s", "proxy.health.interval", "live"],
  ["proxy.health.path=/up", "proxy.health.path", "live"],
  ["processes.web.command=[a, c]", "processes.web.command", "generation"],
  ["processes.web.cwd=/x", "processes.web.cwd", "generation"],
  ["processes.web.env.A=2", "processes.web.env.A", "generation"],
  ["processes.web.env.B=2", "processes.web.env.B", "generation"],
  ["processes.web.user=app", "processes.web.user", "generation"],
  ["processes.web.port=1000-1200", "processes.web.port", "generation"],
  ["processes.web.replicas=2", "processes.web.replicas", "generation"],
  ["processes.job.policy=singleton", "processes.job.policy", "generation"],
  ["processes.db.deploy_strategy=handoff", "processes.db.deploy_strategy", "generation"],
  ["processes.job.depends_on={db: started}", "processes.job.depends_on.db", "generation"],
  ["processes.web.health.timeout=1s", "processes.web.health.timeout", "live"],
  ["processes.web.stop_signal=SIGINT", "processes.web.stop_signal", "live"],
  ["processes.web.graceful_stop=1s", "processes.web.graceful_stop", "live"],
  ["processes.web.lifecycle.stop_command=x", "processes.web.lifecycle.stop_command", "live"],
  ["processes.job.non_blocking_drain=true", "processes.job.non_blocking_drain", "live"],
  ["processes.web.restart.delay=2s", "processes.web.restart.delay", "live"],
  ["processes.web.memory.limit=2MB", "processes.web.memory.limit", "live"],
  ["processes.job.memory={limit: 2MB}", "processes.job.memory", "live"],
  ["processes.web.output_lines=9", "processes.web.output_lines", "live"],
  ["processes.new.command=x", "processes.new", "generation"],
  ["release_retention.keep=4", "release_retention.keep", "live"],
  ["legacy_takeover.screens=[x]", "legacy_takeover", "live"],
];

for (const [override, field, effect] of TABLE) {
  Deno.test(`compare: ${override} → ${effect}`, async () => {
    assertEquals(await changes([override]), [[field, effect]]);
  });
}

Deno.test("compare: nothing changed, no change", async () => {
  assertEquals(await changes([]), []);
});

Deno.test("compare: refused changes say why, added and removed processes say so", async () => {
  const old = await configOf(BASE);
  const next = { ...old, application: "x", processes: old.processes.slice(1) };
  const [refused, removed] = compare(old, next);
  assert(refused.reason?.includes("restart the daemon"));
  assertEquals(removed, {
    field: "processes.web",
    effect: "generation",
    process: "web",
    reason: "removed",
  });
});

Deno.test("compare: a proxy that comes or goes is a listener", async () => {
  const old = await configOf(BASE);
  const without = { ...old, proxy: undefined };
  assertEquals(compare(old, without)[0], { field: "proxy", effect: "listener" });
  assertEquals(compare(without, old)[0], { field: "proxy", effect: "listener" });
});

Deno.test("compare: a process may be called like one of its keys", async () => {
  const text = (port: number) => `processes: { port: { command: x, port: ${port}, user: a } }`;
  const old = await configOf(text(1000));
  const next = await configOf(text(1001).replace("user: a", "user: b"));
  const found = compare(old, { ...next, application: old.application });
  assertEquals(found, [
    { field: "processes.port.port", effect: "generation", process: "port" },
    { field: "processes.port.user", effect: "generation", process: "port" },
  ]);
});

Deno.test("compare: the order of processes is no change", async () => {
  const old = await configOf(BASE);
  assertEquals(compare(old, { ...old, processes: old.processes.toReversed() }), []);
});

Deno.test("compare: sections are compared by their owner, or are a new generation", async () => {
  const old = await configOf(BASE);
  const was = { ...old, sections: { http: { a: 1, b: { c: 1 } } } };
  const is = { ...old, sections: { http: { a: 1, b: { c: 2 } } } };
  assertEquals(compare(was, is), [{ field: "http.b.c", effect: "generation" }]);
  const own = new Map([["http", () => [{ field: "http.b", effect: "live" as const }]]]);
  assertEquals(compare(was, is, own), [{ field: "http.b", effect: "live" }]);
  const seen: unknown[] = [];
  compare(old, is, new Map([["http", (...both: unknown[]) => (seen.push(...both), [])]]));
  assertEquals(seen, [undefined, is.sections.http], "an added section is its owner's, too");
});
