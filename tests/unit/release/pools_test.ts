/** What pools of a release are made of, and when: rendering, on_init, the process book. */

import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import type { PoolHost, PoolSpec } from "../../../lib/pool/types.ts";
import { PidBook } from "../../../lib/release/pid_book.ts";
import { type PoolOrder, Pools } from "../../../lib/release/pools.ts";
import { turn } from "../../kit/manual_clock.ts";
import { Stage } from "./stage.ts";
import { poolOf, releaseOf, workersConfig } from "./worker_configs.ts";

const HTTP: PoolOrder = { plugin: "http", name: "http", settings: poolOf() };
const MAIL: PoolOrder = { plugin: "jobs", name: "jobs.mail", settings: poolOf(), command: "mail" };
const ON_INIT = { command: "migrate", exec_timeout: 5_000, env: {}, exit_on_error: true };

/** A pool that was made, with what it was made from. */
interface Made {
  spec: PoolSpec;
  host: PoolHost;
}

/** Pools on a fake system, and what they made. */
function poolsOf(stage: Stage, counts: Record<string, number> = {}) {
  const made: Made[] = [];
  const pools = new Pools(stage.ground, {
    doors: { open: () => Promise.reject(new Error("no relay is needed")) } as never,
    open(spec, host) {
      made.push({ spec, host });
      return spec as unknown as WorkerPool;
    },
    rpc: () => "tcp://127.0.0.1:6001",
    count: (pool, configured) => counts[pool] ?? configured,
  });
  return { pools, made };
}

Deno.test("a pool is made of its order, the release and the count that was set by hand", async () => {
  using stage = new Stage(workersConfig());
  const { pools, made } = poolsOf(stage, { http: 7 });
  await pools.open(HTTP, releaseOf(stage.fleet.config), stage.end.signal);
  const [{ spec, host }] = made;
  assertEquals([spec.plugin, spec.name, spec.release], ["http", "http", "v1"]);
  assertEquals([spec.settings.num_workers, spec.worker.argv], [7, ["php", "worker.php"]]);
  assertEquals([spec.worker.env.RR_RPC, spec.worker.env.RR_MODE], ["tcp://127.0.0.1:6001", "http"]);
  assertEquals(host.signal, stage.ground.signal);
});

Deno.test("workers run as server.user and group", async () => {
  using stage = new Stage(workersConfig({ user: "www" }));
  const { pools, made } = poolsOf(stage);
  await pools.open(HTTP, releaseOf(stage.fleet.config), stage.end.signal);
  const { identity, env } = made[0].spec.worker;
  assertEquals([identity?.user, env.HOME], ["www", "/home/www"]);
});

Deno.test("on_init runs once for a release, before any of its pools is made", async () => {
  using stage = new Stage(workersConfig({ on_init: ON_INIT }));
  const { pools, made } = poolsOf(stage);
  const { signal } = stage.end;
  const release = releaseOf(stage.fleet.config);
  const both = Promise.all([HTTP, MAIL].map((order) => pools.open(order, release, signal)));
  await turn();
  assertEquals([stage.system.children.length, made.length], [1, 0]);
  stage.system.last.exit(0);
  await stage.pass(both);
  assertEquals(made.map(({ spec }) => spec.name), ["http", "jobs.mail"]);
  // A later one of the same release does not wait for another run; another release does.
  await pools.open(HTTP, release, signal);
  assertEquals(stage.system.children.length, 1);
  const next = pools.open(HTTP, releaseOf(stage.fleet.config, "v2"), signal);
  await turn();
  assertEquals(stage.system.children.length, 2);
  stage.system.last.exit(0);
  await stage.pass(next);
});

Deno.test("on_init that fails for good fails every pool of the release", async () => {
  using stage = new Stage(workersConfig({ on_init: ON_INIT }));
  const { pools, made } = poolsOf(stage);
  const release = releaseOf(stage.fleet.config);
  const opened = [HTTP, MAIL].map((order) => pools.open(order, release, stage.end.signal));
  const failed = Promise.all(
    opened.map((one) => assertRejects(() => one, Failure, "exited with code 1")),
  );
  await turn();
  stage.system.last.exit(1);
  await stage.pass(failed);
  assertEquals([made.length, stage.system.children.length], [0, 1]);
});

Deno.test("what cannot be rendered fails before on_init runs", async () => {
  using stage = new Stage(workersConfig({ command: undefined, on_init: ON_INIT }));
  const { pools } = poolsOf(stage);
  const release = releaseOf(stage.fleet.config);
  await assertRejects(() => pools.open(HTTP, release, stage.end.signal), Failure, "no command");
  assertEquals(stage.system.children.length, 0);
});

Deno.test("workers stand in the book with what tells their group", async () => {
  using stage = new Stage(workersConfig());
  const { pools, made } = poolsOf(stage);
  await pools.open(HTTP, releaseOf(stage.fleet.config), stage.end.signal);
  const id = { pid: 4711, start: "9", boot_id: "b" };
  made[0].host.booked({ ...id, instance: "http#1", plugin: "http", release: "v1" });
  assertEquals(PidBook.read(stage.ground.book.file), [{
    ...id,
    mark: "SUPERVISOR_RELEASE_PATH=/srv/v1",
    instance: "http#1",
    id: "http",
    policy: "companion",
    release: "v1",
  }]);
  made[0].host.unbooked(id);
  assertEquals(stage.booked, []);
});
