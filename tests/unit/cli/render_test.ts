/** What people see, to the letter. */

import { assertEquals } from "@std/assert";
import type { LogRecord, Status } from "../../../lib/control/operations.ts";
import type { ProcessSnapshot } from "../../../lib/process/types.ts";
import { count, span, took } from "../../../lib/cli/render/amount.ts";
import { changesText } from "../../../lib/cli/render/changes.ts";
import { failureText } from "../../../lib/cli/render/failure.ts";
import { colourful, harmless, plain } from "../../../lib/cli/render/paint.ts";
import { liveText, stepText } from "../../../lib/cli/render/progress.ts";
import { logText } from "../../../lib/cli/render/records.ts";
import { startedText } from "../../../lib/cli/render/started.ts";
import { statusText, stoppedText } from "../../../lib/cli/render/status.ts";
import { table } from "../../../lib/cli/render/table.ts";
import { STATUS } from "../control/kit.ts";

const NOW = Date.UTC(2030, 0, 1, 12);
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString();

/** A block of text without the indentation of this file. */
function block(text: string): string {
  return text.split("\n").slice(1, -1).map((line) => line.slice(4)).join("\n") + "\n";
}

function process(more: Partial<ProcessSnapshot>): ProcessSnapshot {
  return {
    id: "web",
    process_id: "web",
    state: "running",
    healthy: true,
    command: "node server.js",
    cwd: "/srv",
    pid: 5001,
    restarts: 0,
    memory_restarts: 0,
    children: [],
    exit: null,
    logs: [],
    ...more,
  };
}

Deno.test("spans have two units and are never rounded up", () => {
  const spans = [0, 999, 59_999, 200_000, 3_600_000, 7_500_000, 1_051_199_999, 86_400_000];
  const texts = ["0s", "0s", "59s", "3m 20s", "1h", "2h 5m", "12d 3h", "1d"];
  assertEquals(spans.map(span), texts);
  assertEquals([0, 849, 12_399, 61_000].map(took), ["0.0 s", "0.8 s", "12.3 s", "1m 1s"]);
  assertEquals([count(1, "lease"), count(0, "lease")], ["1 lease", "0 leases"]);
});

Deno.test("tables align, leave empty columns out and end no line in spaces", () => {
  const rows = [["a", "1", undefined, "x"], ["longer", "10", "", undefined]];
  assertEquals(
    table(["NAME", ">N", "EMPTY", "LAST"], rows, plain),
    block(`
    NAME     N  LAST
    a        1  x
    longer  10  -
    `),
  );
});

Deno.test("a cell with control characters stays in its cell", () => {
  const rows = [["a\n\x1b[2Jb", "c"]];
  assertEquals(table(["A", "B"], rows, plain), "A              B\na\\x0a\\x1b[2Jb  c\n");
});

Deno.test("colours do not move columns", () => {
  const rows = [[{ text: "on", style: "green" as const }, "x"], ["off", "y"]];
  const coloured = table(["A", "B"], rows, colourful);
  // deno-lint-ignore no-control-regex
  assertEquals(coloured.replaceAll(/\x1b\[\d+m/g, ""), table(["A", "B"], rows, plain));
  assertEquals(coloured.includes("\x1b[32mon\x1b[0m "), true);
});

Deno.test("status of a fresh daemon", () => {
  assertEquals(
    statusText(STATUS, NOW, plain),
    block(`
    shop  running  pid 4711  up 1m 1s  47.7 MiB  supervisor 0.1.0

    no release yet: supervisor deploy --release-path DIR
    `),
  );
});

const BUSY: Status = {
  ...STATUS,
  active_release_id: "v2",
  proxy: {
    host: "127.0.0.1",
    port: 8182,
    address: "127.0.0.1:8182",
    upstream_host: "127.0.0.1",
    connections: 2,
    requests: 1204,
    holding: true,
    waiting: 1,
  },
  leases: 4,
  operation: { name: "deploy v3", since: at(5), waiting: ["rollback"] },
  restore: { release_id: "v0", error: "the directory is gone", next_try_at: at(-30) },
  intakes: [{
    name: "jobs",
    address: "pipeline mail",
    state: "open",
    unreachable: [{
      name: "pipeline mail (redis)",
      error: "connection refused\x1b[2J",
      next_try_at: at(-4),
    }],
  }],
  orphans: [{ id: "beacon", pid: 99, release_id: null }],
  counters: { internal_errors: 1 },
  releases: [
    {
      release_id: "v1",
      release_path: "/srv/v1",
      revision: "v1",
      state: "draining",
      started_at: at(9000),
      drain_started_at: at(12),
      connection_count: 3,
      connections: { http: 2, websocket: 1 },
      leases: 3,
      drain_left_ms: 48_000,
      ports: {},
      pools: [],
      processes: [process({ pid: 5001, port: 18182, uptime_ms: 9_000_000, rss_bytes: 83_886_080 })],
    },
    {
      release_id: "v2",
      release_path: "/srv/v2",
      revision: "abc123",
      state: "active",
      started_at: at(15),
      activated_at: at(12),
      connection_count: 1,
      connections: { http: 1, websocket: 0 },
      leases: 1,
      ports: {},
      pools: [],
      processes: [
        process({ pid: 5002, port: 18183, uptime_ms: 14_000, healthy: false, memory_restarts: 2 }),
        process({
          id: "worker#0",
          state: "backoff",
          pid: undefined,
          restarts: 3,
          reason: "ended with exit code 1",
          next_start_at: at(-4),
        }),
      ],
    },
  ],
  services: [{ id: "beacon", process: process({ id: "beacon", uptime_ms: 86_400_000 * 3 }) }],
  singletons: [{
    id: "cron",
    process: process({ id: "cron", state: "failed", pid: undefined, reason: "gave up" }),
  }],
};

Deno.test("status of a busy daemon", () => {
  assertEquals(
    statusText(BUSY, NOW, plain),
    block(`
    shop  running  pid 4711  up 1m 1s  47.7 MiB  supervisor 0.1.0
    proxy 127.0.0.1:8182  2 connections, 1204 requests, 4 leases, holding 1 request
    jobs pipeline mail
    now: deploy v3 for 5s, waiting: rollback
    restore: release v0 could not be restored: the directory is gone; next try in 30s
    not reached: pipeline mail (redis): connection refused\\x1b[2J; next try in 4s
    orphans: beacon (pid 99)
    bugs: 1 internal error, see supervisor events

    RELEASE  STATE     REVISION  FOR  LEASES  HTTP  WEBSOCKET  DRAIN        PATH
    v1       draining  -         12s       3     2          1  48.0 s left  /srv/v1
    v2       active    abc123    12s       1     1          -  -            /srv/v2

    PROCESS   OF         STATE       PID   PORT  UPTIME    MEMORY  RESTARTS  NOTE
    beacon    service    running    5001      -      3d         -         0  -
    cron      singleton  failed        -      -       -         -         0  gave up
    web       v1         running    5001  18182  2h 30m  80.0 MiB         0  -
    web       v2         unhealthy  5002  18183     14s         -         2  2 for memory
    worker#0  v2         backoff       -      -       -         -         3  ended with exit code 1; next try in 4s
    `),
  );
});

Deno.test("stop says what is left", () => {
  assertEquals(
    stoppedText({ ...BUSY, active_release_id: null }),
    "no release is live; draining: v1 (3 leases)\n",
  );
  assertEquals(stoppedText({ ...BUSY, releases: [] }), "v2 is live\n");
});

Deno.test("a failed start is shown in full", () => {
  const detail = {
    argv: ["node", "server.js", "--name", "it's"],
    cwd: "/srv/v2",
    user: "app",
    exit_code: 3,
    elapsed_ms: 412,
    stderr: ["Error: no database", "\x1b[2J at x"],
    stdout: [],
    env_keys: ["PATH", "TOKEN"],
  };
  const error = 'process "web" did not start: it ended with exit code 3';
  assertEquals(
    failureText({ status: "error", error, fix: "start the database", exit: 1, detail }, plain),
    block(`
    error: process "web" did not start: it ended with exit code 3
      command: node server.js --name 'it'\\''s'
      directory: /srv/v2
      user: app
      environment: PATH TOKEN
      exit code: 3
      ran for: 412 ms
      last stderr:
        Error: no database
        \\x1b[2J at x
    fix: start the database
    `),
  );
});

Deno.test("records of output and a diagnostic are shown too", () => {
  const logs = [{ at: at(1), stream: "stderr", line: "boom" }];
  assertEquals(
    failureText({ status: "error", error: "gone", exit: 1, detail: { logs } }, plain),
    "error: gone\n  last output:\n    boom\n",
  );
  const error = "a.yaml:1:2: error: what\n  x: y\n     ^\nfix: this";
  assertEquals(failureText({ status: "error", error, exit: 3 }, plain), `${error}\n`);
});

Deno.test("steps and results of a deploy", () => {
  const step = { type: "progress", ms: 412, step: "proving", message: "proving web\x07" } as const;
  assertEquals(stepText(step, plain), "  0.4 s  proving web\\x07\n");
  const result = {
    status: "partial" as const,
    active_release_id: "v2",
    previous_release_id: "v1",
    release_path: "/srv/v2",
    revision: "v2",
    ms: 812,
    errors: ["cron did not start"],
    drained: true,
  };
  const text = "v2 is live after 0.8 s, before: v1, drained\nerror: cron did not start\n";
  assertEquals(liveText(result, plain), text);
  const first = { ...result, previous_release_id: null, errors: [], drained: undefined };
  assertEquals(liveText(first, plain), "v2 is live after 0.8 s\n");
});

Deno.test("changes of a reload", () => {
  const result = {
    status: "success" as const,
    changes: [
      { field: "proxy.limits.body", effect: "live" as const },
      { field: "application", effect: "refused" as const, reason: "it names the daemon" },
    ],
    active_release_id: "v2~2",
    warnings: ["port 80 needs root"],
    errors: ["cron did not start"],
  };
  assertEquals(
    changesText(result, "done", plain),
    block(`
    EFFECT   FIELD              REASON
    live     proxy.limits.body  -
    refused  application        it names the daemon
    live: v2~2
    warning: port 80 needs root
    error: cron did not start
    `),
  );
  const nothing = { ...result, changes: [], warnings: [], errors: [] };
  assertEquals(changesText(nothing, "planned", plain), "nothing has changed\n");
});

Deno.test("lines of output keep what the program printed", () => {
  const render = logText(plain);
  const record: LogRecord = {
    at: at(0),
    process: "web#0",
    release: "v1",
    stream: "stdout",
    line: "\x1b[32mok",
  };
  assertEquals(render(record), "2030-01-01T12:00:00.000Z web#0    out  \x1b[32mok\n");
  const long = { ...record, process: "background#10", stream: "stderr" as const, line: "no" };
  assertEquals(render(long), "2030-01-01T12:00:00.000Z background#10 err  no\n");
  assertEquals(render(record), "2030-01-01T12:00:00.000Z web#0         out  \x1b[32mok\n");
});

Deno.test("a daemon that was started", () => {
  const started = {
    ready: true as const,
    pid: 7,
    socket: "/run/c.sock",
    addresses: ["127.0.0.1:80"],
    active_release_id: null,
    already_running: false,
    log_file: "/var/log/d.log",
  };
  assertEquals(
    startedText(started),
    block(`
    the daemon is ready
      pid      7
      socket   /run/c.sock
      address  127.0.0.1:80
      release  none yet
      log      /var/log/d.log
    `),
  );
});

Deno.test("harmless text has no control characters and no direction marks", () => {
  assertEquals(harmless("a\tb\r\n\x00\x9b\u202e"), "a b\\x0d\\x0a\\x00\\x9b\\x202e");
});
