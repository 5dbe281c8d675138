/**
 * One exchange of a pool with a PHP worker over each relay, without HTTP in front: the pool in this
 * very process, so its processor time is that of the process.
 *
 * Invariant: the workers are those of the other measurements; nothing is asserted.
 */

import { Bench, never } from "../../tests/unit/pool/kit.ts";
import { freePort } from "../../tests/kit/ports.ts";
import type { PoolRequest } from "../../lib/pool/types.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import { WORKERS } from "./pool_peers.ts";
import { type Print, table } from "./report.ts";
import { processorSeconds } from "./wrk.ts";

const WARM = 2_000;
const EXCHANGES = 20_000;
const AT_ONCE = 32;
const SIDE_BY_SIDE = 4;

const JSON_CODEC = 0x08;
const REQUEST: PoolRequest = {
  flags: JSON_CODEC,
  context: new TextEncoder().encode(JSON.stringify({
    remoteAddr: "127.0.0.1",
    protocol: "HTTP/1.1",
    method: "GET",
    uri: "http://localhost:8080/",
    headers: { Accept: ["*/*"], "User-Agent": ["bench"] },
    cookies: {},
    rawQuery: "",
    parsed: false,
    uploads: null,
    attributes: {},
  })),
  body: [],
  what: "GET /",
};

/** So many exchanges, so many of them waiting at a time. */
async function exchange(pool: WorkerPool, count: number, atOnce: number): Promise<void> {
  const runs = Array.from({ length: atOnce }, async () => {
    for (let i = 0; i < count / atOnce; i++) await pool.call(REQUEST).answer;
  });
  await Promise.all(runs);
}

/** @returns microseconds per exchange: by the clock, and of the processor */
async function measure(pool: WorkerPool, atOnce: number): Promise<[number, number]> {
  await exchange(pool, WARM, atOnce);
  const [begin, before] = [performance.now(), processorSeconds(Deno.pid)];
  await exchange(pool, EXCHANGES, atOnce);
  const ms = performance.now() - begin;
  const used = processorSeconds(Deno.pid) - before;
  return [ms / EXCHANGES * 1e3, used / EXCHANGES * 1e6];
}

/** Measures and prints. */
export async function benchExchange(print: Print): Promise<void> {
  const rows = [["pool and PHP worker, no HTTP", "1 at a time", "CPU", "32 at 4 workers", "CPU"]];
  await using bench = new Bench();
  const relays = {
    pipes: () => "pipes",
    unix: () => `unix://${bench.path("relay.sock")}`,
    tcp: () => `tcp://127.0.0.1:${freePort()}`,
  };
  for (const [name, relay] of Object.entries(relays)) {
    const row = [name];
    for (const [workers, atOnce] of [[1, 1], [SIDE_BY_SIDE, AT_ONCE]]) {
      const spec = bench.spec({ num_workers: workers });
      const [argv, command] = [WORKERS.PHP, WORKERS.PHP.join(" ")];
      const worker = { ...spec.worker, argv, command, relay: relay() };
      const pool = bench.open({ ...spec, worker });
      await pool.start(never);
      row.push(...(await measure(pool, atOnce)).map((us) => `${us.toFixed(1)} µs`));
      await pool.destroy();
    }
    rows.push(row);
  }
  print(`\n${table(rows)}`);
}
