/** What a change of the tcp section does. */

import { assertEquals } from "@std/assert";
import type { TcpConfig } from "../../../../lib/config/roadrunner/tcp.ts";
import { tcp } from "../../../../plugins/tcp/mod.ts";
import { HOST, tcpOf } from "./kit.ts";

function changes(old: unknown, next: unknown): string[] {
  return tcp.section.compare!(old, next).map(({ field, effect }) => `${field}: ${effect}`);
}

const TLS = { cert: "/a.pem", key: "/a.key" };

Deno.test("equal sections differ in nothing; one that comes or goes is a new generation", () => {
  const one = () => tcpOf({ main: {} });
  assertEquals(changes(one(), one()), []);
  assertEquals(changes(undefined, undefined), []);
  assertEquals(tcp.section.compare!(undefined, one()), [
    { field: "tcp", effect: "generation", reason: "added" },
  ]);
  assertEquals(changes(one(), undefined), ["tcp: generation"]);
});

Deno.test("addresses and servers are listeners, what is looked at each time is live", () => {
  assertEquals(
    changes(
      tcpOf({ a: {}, "b.addr": { delimiter: "\n" } }),
      tcpOf({
        a: { addr: { host: HOST, port: 7 }, idle_timeout: 5, max_connections: 3 },
        c: {},
      }),
    ),
    [
      "tcp.servers.a.idle_timeout: live",
      "tcp.servers.a.max_connections: live",
      "tcp.servers.a.addr: listener",
      "tcp.servers.c: listener",
      "tcp.servers.b.addr: listener",
    ],
  );
});

Deno.test("TLS and its files come with an address, and only with it", () => {
  const plain = tcpOf({ a: {} });
  const tls = tcpOf({ a: { tls: TLS } });
  const other = tcpOf({ a: { tls: { ...TLS, cert: "/b.pem" } } });
  const moved = tcpOf({ a: { tls: TLS, addr: { host: HOST, port: 7 } } });
  assertEquals(changes(plain, tls), ["tcp.servers.a.tls: refused"]);
  assertEquals(changes(tls, other), ["tcp.servers.a.tls.cert: refused"]);
  assertEquals(changes(plain, moved), [
    "tcp.servers.a.addr: listener",
    "tcp.servers.a.tls: listener",
  ]);
});

Deno.test("what workers are started from is a new generation, their limits are live", () => {
  const base = tcpOf({ a: {} });
  const pool = (more: Partial<TcpConfig["pool"]>) => ({ ...base, pool: { ...base.pool, ...more } });
  assertEquals(changes(base, pool({ command: ["php", "x"], max_jobs: 3 })), [
    "tcp.pool.max_jobs: live",
    "tcp.pool.command: generation",
  ]);
  assertEquals(changes(base, pool({ num_workers: 9, debug: true })), [
    "tcp.pool.debug: generation",
    "tcp.pool.num_workers: generation",
  ]);
  assertEquals(changes(base, { ...base, drain_timeout: 1 }), ["tcp.drain_timeout: live"]);
});
