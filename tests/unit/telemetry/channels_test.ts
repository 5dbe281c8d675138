/** Channels: which event is of which, and that each is written as its own settings say. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { type Channel, channelOf } from "../../../lib/telemetry/channels.ts";
import type { EventName, Level } from "../../../lib/telemetry/events.ts";
import { Log, type LogSettings } from "../../../lib/telemetry/log.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";

function record(level: Level, event: EventName, data: Record<string, unknown> = {}) {
  return { at: "2030-01-01T00:00:00.000Z", level, event, data };
}

/** A log whose channels are told by `plugin` of the facts. */
const open = (settings: LogSettings, clock = new ManualClock()) =>
  Log.open({ clock, ...settings, channelOf: ({ data }) => data.plugin as string });

/** Events in a file of JSON lines. */
const eventsIn = (file: string) =>
  Deno.readTextFileSync(file).trim().split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line).event);

Deno.test("what is of which channel", () => {
  const of = (event: EventName, data: Record<string, unknown> = {}) =>
    channelOf({ event, data }, new Set(["beat"]));
  const expected: Record<Channel, (Channel | undefined)[]> = {
    server: [of("worker_failed"), of("pool_scaled"), of("on_init_failed"), of("relay_refused")],
    http: [
      of("http_request"),
      of("upload_failed"),
      of("uploads_swept"),
      of("cors_refused"),
      of("request_failed", { plugin: "http" }),
      of("listener_bound", { name: "http" }),
    ],
    tcp: [
      of("tcp_connections_cut"),
      of("request_failed", { plugin: "tcp" }),
      of("listener_closed", { name: "tcp.main" }),
    ],
    jobs: [of("job_failed"), of("jobs_lost"), of("pipeline_down")],
    rpc: [of("rpc_connection_cut"), of("listener_bound", { name: "rpc" })],
    metrics: [of("listener_bound", { name: "metrics" })],
    status: [of("listener_bound", { name: "status" })],
    service: [
      of("process_exited", { process: "beat#1" }),
      of("memory_warning", { process: "beat" }),
    ],
    app: [of("app_log")],
    logs: [of("log_reopened")],
  };
  for (const [channel, found] of Object.entries(expected)) {
    assertEquals(new Set(found), new Set([channel as Channel]));
  }
  const none = [
    of("deploy_started"),
    of("daemon_ready"),
    of("process_exited", { process: "web" }),
    of("listener_bound", { name: "proxy" }),
    of("proxy_error"),
  ];
  assertEquals(new Set(none), new Set([undefined]));
});

Deno.test("each channel has its level, form and places; the rest is the main log's", async () => {
  using scratch = new Scratch();
  const [main, http, both] = ["main", "http", "both"].map((name) => scratch.path(`${name}.log`));
  {
    await using log = open({
      level: "warn",
      places: [main, both],
      readable: false,
      channels: new Map([
        ["http", { level: "debug", places: [http], readable: true, crlf: true }],
        ["jobs", { level: "info", places: [both], readable: false }],
      ]),
    });
    log.write(record("debug", "process_starting", { plugin: "http" }));
    log.write(record("info", "daemon_ready", { plugin: "jobs" }));
    log.write(record("debug", "process_stopping", { plugin: "jobs" }));
    log.write(record("info", "daemon_stopping", { plugin: "tcp" }));
    log.write(record("warn", "config_warning", { plugin: "tcp" }));
  }
  assertEquals(eventsIn(main), ["config_warning"]);
  assertEquals(eventsIn(both), ["daemon_ready", "config_warning"]);
  const text = Deno.readTextFileSync(http);
  assertStringIncludes(text, "debug process_starting         plugin=http\r\n");
  assertEquals(text.split("\n").length, 2);
});

Deno.test("each file is turned over by its own limits, and all are opened anew", async () => {
  using scratch = new Scratch();
  const [main, http] = ["main", "http"].map((name) => scratch.path(`${name}.log`));
  {
    await using log = open({
      level: "info",
      places: [main],
      channels: new Map([["http", {
        level: "info",
        places: [http],
        limits: { bytes: 300, files: 2 },
      }]]),
    });
    for (let i = 0; i < 12; i++) {
      for (const plugin of ["http", "tcp"]) {
        log.write(record("info", "daemon_stopped", { plugin, exit: i }));
      }
      await log.flush();
    }
    const names = Array.from(Deno.readDirSync(scratch.dir), ({ name }) => name).sort();
    assertEquals(names, ["http.log", "http.log.1", "main.log"]);
    for (const file of [main, http]) Deno.renameSync(file, `${file}.moved`);
    assertEquals(await log.reopen(), [{ file: main }, { file: http }]);
    log.write(record("info", "daemon_stopped", { plugin: "http" }));
  }
  assertEquals([eventsIn(http).length, eventsIn(main).length], [1, 0]);
});

Deno.test("a place that fails holds up no other, and says so itself", async () => {
  using scratch = new Scratch();
  let [text, fail] = ["", true];
  const stderr = {
    write: (bytes: Uint8Array) => {
      if (fail) return Promise.reject(new Error("Broken pipe"));
      text += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    },
    writeSync: (bytes: Uint8Array) => bytes.length,
  };
  const file = scratch.path("http.log");
  {
    await using log = Log.open({
      clock: new ManualClock(),
      stderr,
      level: "info",
      channels: new Map([["http", { level: "info", places: [file] }]]),
      channelOf: ({ data }) => data.plugin as string,
    });
    log.write(record("info", "daemon_ready"));
    log.write(record("info", "daemon_ready", { plugin: "http" }));
    await log.flush();
    assertEquals(log.lost, 1);
    fail = false;
    log.write(record("info", "daemon_stopping"));
  }
  assertEquals(eventsIn(file), ["daemon_ready"]);
  const told = text.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(told.map(({ event }) => event), ["daemon_stopping", "log_lost"]);
});

Deno.test("a reload: channels come and go, other limits hold, nothing is lost between", async () => {
  using scratch = new Scratch();
  const [main, http, other] = ["main", "http", "other"].map((name) => scratch.path(`${name}.log`));
  const channel = (place: string, bytes: number): LogSettings["channels"] =>
    new Map([["http", { level: "info", places: [place], limits: { bytes, files: 3 } }]]);
  {
    const settings = { level: "info" as const, places: [main] };
    await using log = open({ ...settings, channels: channel(http, 1_000_000) });
    const write = () => log.write(record("info", "daemon_stopped", { plugin: "http" }));
    const channelOf = ({ data }: { data: Record<string, unknown> }) => data.plugin as string;
    write();
    const smaller = { ...settings, channelOf, channels: channel(http, 100) };
    log.rebind(smaller).commit();
    write();
    await log.flush();
    write();
    log.rebind({ ...settings, channelOf, channels: channel(other, 100) }).commit();
    write();
    log.rebind(settings).commit();
    write();
    const undone = log.rebind({ ...settings, places: [join(scratch.dir, "undone.log")] });
    undone.undo();
    write();
  }
  const kept = [http, `${http}.1`].flatMap(eventsIn);
  assertEquals([kept.length, eventsIn(other).length, eventsIn(main).length], [3, 1, 2]);
});
