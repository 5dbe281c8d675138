/**
 * What a scrape tells of the daemon: RoadRunner's names for RoadRunner's things, `supervisor_*` for
 * ours. docs/metrics.md lists them all.
 *
 * Invariant: read from status at the moment of the scrape; no label holds a pid; what is gone is not
 * shown any more.
 */

import type { Gauge, Metrics } from "../telemetry/metrics.ts";
import { Increments } from "./increments.ts";
import type { Operations, Status, Workers } from "./operations.ts";
import type { ProcessSnapshot } from "../process/types.ts";

/** What is read at a scrape. */
export type MetricsHost = Pick<Operations, "status" | "workers">;

/** Keeps the metrics of the daemon up to date with each scrape. @returns takes that back */
export function daemonMetrics(metrics: Metrics, host: MetricsHost): () => void {
  const updates = [
    ofDaemon(metrics),
    ofProcesses(metrics),
    ofPools(metrics),
    ofRoadRunner(metrics),
  ];
  return metrics.beforeScrape(() => {
    const status = host.status();
    const workers = host.workers({});
    for (const update of updates) update(status, workers);
  });
}

type Update = (status: Status, workers: Workers) => void;

function ofDaemon(metrics: Metrics): Update {
  const gauge = maker(metrics);
  const info = gauge("supervisor_info", "Always 1; the version is a label", "version");
  const uptime = gauge("supervisor_uptime_seconds", "Time since the daemon's start");
  const rss = gauge("supervisor_resident_memory_bytes", "Resident memory of the daemon itself");
  const ready = gauge("supervisor_state", "1 for the daemon's state", "state");
  const release = gauge(
    "supervisor_release",
    "1 for each release that is there",
    "release",
    "state",
  );
  const leases = gauge("supervisor_leases", "Requests and tunnels in flight, draining ones too");
  const orphans = gauge("supervisor_orphans", "Programs of an earlier daemon that still run");
  const connections = gauge("supervisor_connections", "Client connections", "intake");
  const waiting = gauge(
    "supervisor_requests_waiting",
    "Requests that wait for a program",
    "intake",
  );
  const taken = new Increments(metrics.counter({
    name: "supervisor_requests_total",
    help: "Requests taken in",
    labels: ["intake"],
  }));
  const counts = gauge("supervisor_count", "What status counts: events, lost lines …", "of");
  return (status) => {
    info.set(1, status.version);
    uptime.set(status.uptime_ms / 1000);
    rss.set(status.rss_bytes);
    ready.clear();
    ready.set(1, status.state);
    release.clear();
    for (const { release_id, state } of status.releases) release.set(1, release_id, state);
    leases.set(status.leases);
    orphans.set(status.orphans.length);
    connections.clear();
    waiting.clear();
    const { proxy } = status;
    if (proxy !== undefined) {
      connections.set(proxy.connections, "proxy");
      waiting.set(proxy.waiting, "proxy");
      taken.reached(proxy.requests, "proxy");
    }
    for (const intake of status.intakes) {
      if (intake.name === "proxy") continue;
      if (intake.connections !== undefined) connections.set(intake.connections, intake.name);
      if (intake.requests !== undefined) taken.reached(intake.requests, intake.name);
    }
    for (const [of, count] of Object.entries(status.counters)) counts.set(count, of);
  };
}

function ofProcesses(metrics: Metrics): Update {
  const gauge = maker(metrics);
  const up = gauge("supervisor_process_up", "Copies that run", "process");
  const healthy = gauge("supervisor_process_healthy", "Copies that run and are proven", "process");
  const memory = gauge("supervisor_process_memory_bytes", "Resident memory", "process");
  const restarts = gauge("supervisor_process_restarts", "Starts after the first one", "process");
  return (status) => {
    for (const one of [up, healthy, memory, restarts]) one.clear();
    for (const [id, copies] of byProcess(status)) {
      const sum = (value: (copy: ProcessSnapshot) => number) =>
        copies.reduce((total, copy) => total + value(copy), 0);
      const runs = (copy: ProcessSnapshot) => copy.pid === undefined ? 0 : 1;
      up.set(sum(runs), id);
      healthy.set(sum((copy) => copy.healthy ? runs(copy) : 0), id);
      memory.set(sum((copy) => copy.rss_bytes ?? 0), id);
      restarts.set(sum((copy) => copy.restarts), id);
    }
  };
}

/** All copies of each process, whatever release they belong to. */
function byProcess({ releases, services, singletons }: Status): Map<string, ProcessSnapshot[]> {
  const all = [
    ...releases.flatMap(({ processes }) => processes),
    ...[...services, ...singletons].map(({ process }) => process),
  ];
  return Map.groupBy(all, ({ process_id }) => process_id);
}

function ofPools(metrics: Metrics): Update {
  const gauge = maker(metrics);
  const workers = gauge("supervisor_pool_workers", "Workers by what they do", "pool", "state");
  const target = gauge("supervisor_pool_target", "Workers there should be", "pool");
  const queue = gauge("supervisor_pool_queue", "Requests that wait for a worker", "pool");
  const wait = gauge(
    "supervisor_pool_queue_wait_p95_seconds",
    "How long 95 of 100 of the last requests waited at most",
    "pool",
  );
  const counter = (name: string, help: string, ...labels: string[]) =>
    new Increments(metrics.counter({ name, help, labels }));
  const requests = counter("supervisor_pool_requests_total", "Requests given to workers", "pool");
  const errors = counter("supervisor_pool_errors_total", "Requests that failed", "pool");
  const replaced = counter(
    "supervisor_pool_replaced_total",
    "Workers replaced",
    "pool",
    "reason",
  );
  return (_, { pools }) => {
    for (const one of [workers, target, queue, wait]) one.clear();
    for (const [name, all] of Map.groupBy(pools, ({ pool }) => pool)) {
      const sum = (key: "idle" | "busy" | "starting" | "stopping" | "target" | "queue") =>
        all.reduce((total, pool) => total + pool[key], 0);
      for (const state of ["idle", "busy", "starting", "stopping"] as const) {
        workers.set(sum(state), name, state);
      }
      target.set(sum("target"), name);
      queue.set(sum("queue"), name);
      wait.set(Math.max(...all.map(({ queue_wait_ms }) => queue_wait_ms.p95)) / 1000, name);
    }
    const generation = (pool: { pool: string; release_id: string }) =>
      `${pool.pool} ${pool.release_id}`;
    for (const pool of pools) {
      requests.reachedBy(generation(pool), pool.requests, pool.pool);
      errors.reachedBy(generation(pool), pool.errors, pool.pool);
      for (const [reason, count] of Object.entries(pool.replaced)) {
        replaced.reachedBy(`${generation(pool)} ${reason}`, count, pool.pool, reason);
      }
    }
  };
}

/** RoadRunner's names: one set for each plugin with workers. */
function ofRoadRunner(metrics: Metrics): Update {
  const sets = new Map<string, ReturnType<typeof pluginSet>>();
  return ({ uptime_ms }, { pools, workers }) => {
    const plugins = new Set(pools.map(({ plugin }) => plugin));
    for (const plugin of [...sets.keys(), ...plugins]) {
      const set = sets.get(plugin) ?? pluginSet(metrics, plugin);
      sets.set(plugin, set);
      const its = workers.filter((worker) => worker.plugin === plugin);
      const inState = (...states: string[]) =>
        its.filter(({ state }) => states.includes(state)).length;
      set.total.set(its.length);
      set.memory.set(its.reduce((sum, { memory_bytes }) => sum + memory_bytes, 0));
      set.ready.set(inState("ready"));
      set.working.set(inState("working"));
      set.invalid.set(its.length - inState("ready", "working"));
      const own = pools.filter((pool) => pool.plugin === plugin);
      set.queue.set(own.reduce((sum, pool) => sum + pool.queue, 0));
      set.uptime.set(uptime_ms / 1000);
      for (const pool of own) {
        set.noFree.reachedBy(`${pool.pool} ${pool.release_id}`, pool.no_free_workers);
      }
    }
  };
}

function pluginSet(metrics: Metrics, plugin: string) {
  const gauge = maker(metrics);
  const name = (what: string) => `rr_${plugin}_${what}`;
  return {
    total: gauge(name("total_workers"), "Workers"),
    memory: gauge(name("workers_memory_bytes"), "Resident memory of all workers"),
    ready: gauge(name("workers_ready"), "Workers that are free"),
    working: gauge(name("workers_working"), "Workers that have a request"),
    invalid: gauge(name("workers_invalid"), "Workers that are neither"),
    queue: gauge(name("requests_queue"), "Requests that wait for a worker"),
    uptime: gauge(name("uptime_seconds"), "Time since the daemon's start"),
    noFree: new Increments(metrics.counter({
      name: name("no_free_workers_total"),
      help: "Requests refused or given up because no worker was free",
    })),
  };
}

function maker(metrics: Metrics): (name: string, help: string, ...labels: string[]) => Gauge {
  return (name, help, ...labels) => metrics.gauge({ name, help, labels });
}
