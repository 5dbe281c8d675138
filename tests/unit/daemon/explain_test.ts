/** explain() over made-up looks and events: each state says why, and what only events know is found. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import type { ReleaseStatus, Status, Subject } from "../../../lib/control/operations.ts";
import type { PoolSnapshot } from "../../../lib/pool/types.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { explain, type Facts, isAbout } from "../../../lib/daemon/explain.ts";
import type { ProcessSnapshot } from "../../../lib/process/types.ts";
import type { EventRecord } from "../../../lib/telemetry/events.ts";
import { STATUS } from "../control/kit.ts";
import { configOf, processOf } from "../release/configs.ts";

const NOW = Date.parse("2030-01-01T12:00:00.000Z");

/** A stamp some seconds before NOW. */
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

function processIs(more: Partial<ProcessSnapshot>): ProcessSnapshot {
  return {
    id: "web",
    process_id: "web",
    state: "running",
    healthy: true,
    command: "run web",
    cwd: "/srv",
    restarts: 0,
    memory_restarts: 0,
    children: [],
    exit: null,
    logs: [],
    ...more,
  };
}

function releaseOf(processes: ProcessSnapshot[], more: Partial<ReleaseStatus> = {}): ReleaseStatus {
  return {
    release_id: "v1",
    release_path: "/srv",
    revision: "v1",
    state: "active",
    started_at: ago(100),
    connection_count: 0,
    connections: { http: 0, websocket: 0 },
    leases: 0,
    ports: {},
    processes,
    pools: [],
    ...more,
  };
}

function event(name: string, data: Record<string, unknown>, seconds = 10): EventRecord {
  return { at: ago(seconds), seq: 1, level: "info", event: name as EventRecord["event"], data };
}

function facts(status: Partial<Status>, more: Partial<Facts> = {}): Facts {
  return {
    status: { ...STATUS, ...status },
    workers: { pools: [], workers: [] },
    pipelines: [],
    config: configOf([processOf("web")]),
    events: [],
    now: NOW,
    ...more,
  };
}

/** The only subject. */
function only(name: string, its: Facts): Subject {
  const { subjects } = explain(name, its);
  assertEquals(subjects.length, 1);
  return subjects[0];
}

function why(process: Partial<ProcessSnapshot>, more: Partial<Facts> = {}): string[] {
  return only("web", facts({ releases: [releaseOf([processIs(process)])] }, more)).because;
}

Deno.test("running, with or without a probe that succeeds", () => {
  const up = { pid: 7, started_at: ago(60), last_start_reason: "crash" as const };
  assertEquals(why(up), [`it runs since ${ago(60)} (pid 7, started for: crash)`]);
  const [first] = why({ ...up, healthy: false, reason: "GET /ping answered 500" });
  assertEquals(first, "its probe does not succeed: GET /ping answered 500");
});

Deno.test("waiting for its next try, and given up", () => {
  const exit = { code: 3, signal: null, at: ago(2) };
  const waits = { state: "backoff" as const, reason: "ended with code 3", exit };
  const later = new Date(NOW + 8000).toISOString();
  assertEquals(why({ ...waits, next_start_at: later }), [
    "ended with code 3",
    `the next try is in 8s, at ${later}`,
    `its last run ended at ${ago(2)} with code 3`,
  ]);
  assertStringIncludes(why({ ...waits, next_start_at: ago(1) })[1], "due now");
  assertStringIncludes(why({ ...waits, state: "failed" }).join(), "restart --process web");
});

Deno.test("the last ends one by one, and how many there were", () => {
  const end = (seconds: number, more = {}) =>
    event(
      "process_exited",
      { process: "web", code: 1, signal: null, up_ms: 500, ...more },
      seconds,
    );
  const events = [
    end(50),
    end(40, { wanted: true, code: 0 }),
    end(30, { code: null, signal: "SIGSEGV" }),
    end(20),
    end(10),
  ];
  const said = why({ state: "failed" }, { events }).filter((line) => line.includes("by itself"));
  assertEquals(said, [
    `it ended by itself at ${ago(10)} with code 1 after 500ms`,
    `it ended by itself at ${ago(20)} with code 1 after 500ms`,
    `it ended by itself at ${ago(30)} with SIGSEGV after 500ms`,
    `in all it ended by itself 4 times since ${ago(50)}`,
  ]);
});

Deno.test("the restart budget: inside its window, and forgiven by hand", () => {
  const restart = { delay: 1, max_restarts: 3, window: 60_000, backoff_factor: 2, max_delay: 10 };
  const config = configOf([processOf("web", "companion", { restart })]);
  const planned = (seconds: number) =>
    event("process_restart_scheduled", { process: "web", delay_ms: 1, restarts: 1 }, seconds);
  const events = [planned(90), planned(50), planned(40)];
  assertEquals(
    why({ state: "backoff" }, { config, events }).at(-1),
    "2 of 3 restarts within 1m are used",
  );
  const manual = event("process_starting", { process: "web", reason: "manual" }, 45);
  const forgiven = [events[0], events[1], manual, events[2]];
  assertEquals(
    why({ state: "backoff" }, { config, events: forgiven }).at(-1),
    "1 of 3 restarts within 1m are used",
  );
  assertEquals(
    why({ pid: 1, started_at: ago(1), restarts: 2 }).at(-1),
    "it was restarted 2 times since it was deployed; restarts are not limited",
  );
});

Deno.test("what it waits for, in its own release", () => {
  const config = configOf([
    processOf("web", "companion", { depends_on: { db: "healthy", cache: "started" } }),
    processOf("db"),
    processOf("cache"),
  ]);
  const db = processIs({ id: "db", process_id: "db", state: "starting", reason: "no answer yet" });
  const other = releaseOf([processIs({ id: "db", process_id: "db" })], { release_id: "v0" });
  const web = processIs({ state: "stopped", healthy: false });
  const status = { releases: [releaseOf([web, { ...db, healthy: false }]), other] };
  assertEquals(only("web", facts(status, { config })).because, [
    "it is stopped",
    'it waits for "db" to be healthy, which is starting: no answer yet',
    'it waits for "cache" to be started, which does not run',
  ]);
});

Deno.test("every copy is a subject; one by its own name", () => {
  const copies = ["web#0", "web#1"].map((id) => processIs({ id }));
  const all = facts({ releases: [releaseOf(copies)] });
  assertEquals(explain("web", all).subjects.map(({ id }) => id), ["web#0", "web#1"]);
  assertEquals(only("web#1", all).id, "web#1");
});

Deno.test("configured, but run by nobody", () => {
  assertStringIncludes(only("web", facts({})).because[0], "starts with the next deploy");
  const restore = { release_id: "v1", error: "no such directory", next_try_at: ago(0) };
  assertStringIncludes(only("web", facts({ restore })).because[1], "no such directory");
  const live = facts({ active_release_id: "v2", releases: [releaseOf([])] });
  assertStringIncludes(only("web", live).because[0], '"v2" does not have it');
});

Deno.test("what only events know, with what the daemon did in between", () => {
  const events = [
    event("daemon_started", { pid: 1, version: "0" }, 99),
    event("process_started", { process: "old", pid: 5, reason: "deploy" }, 80),
    event("daemon_stopped", { exit: 0 }, 70),
    event("daemon_started", { pid: 2, version: "0" }, 60),
  ];
  const gone = only("old", facts({}, { events }));
  assertEquals([gone.kind, gone.state], ["process", "gone"]);
  assertEquals(gone.history.map((one) => one.event), [
    "process_started",
    "daemon_stopped",
    "daemon_started",
  ]);
  const about = isAbout("old");
  assert(events.every(about));
  assert(about(event("process_exited", { process: "old#3" })));
  assert(about(event("traffic_switched", { release: "new", previous: "old" })));
  assert(!about(event("process_exited", { process: "older" })));
});

Deno.test("a pool that fails, a release that could not be restored, a name of nothing", () => {
  const pool: PoolSnapshot = {
    plugin: "jobs",
    pool: "jobs.mail",
    release_id: "v1",
    state: "failing",
    reason: "worker did not start",
    next_try_at: ago(-5),
    target: 2,
    idle: 0,
    busy: 0,
    starting: 0,
    stopping: 0,
    queue: 4,
    requests: 0,
    errors: 0,
    no_free_workers: 9,
    replaced: { ttl: 2, max_jobs: 0 },
    queue_wait_ms: { last: 0, p95: 0 },
  };
  const its = facts({ releases: [releaseOf([], { pools: [pool] })] }, {
    workers: { pools: [pool], workers: [] },
  });
  const said = only("jobs", its).because.join("\n");
  for (
    const words of [
      "worker did not start",
      ago(-5),
      "4 requests wait",
      "9 requests were refused",
      "2 for ttl",
    ]
  ) {
    assertStringIncludes(said, words);
  }
  assert(!said.includes("max_jobs"));
  const restore = { release_id: "v1", error: "gone", next_try_at: ago(-5) };
  const release = releaseOf([], { state: "failed", pools: [pool] });
  const failed = only("v1", facts({ releases: [release], restore })).because;
  assertMatch(failed.join(), /could not be brought back: gone; the next try is in 5s/);
  const error = assertThrows(() => explain("wbe", facts({})), Failure);
  assertStringIncludes(error.fix!, 'did you mean "web"?');
});
