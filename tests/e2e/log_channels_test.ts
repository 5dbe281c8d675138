/** `logs.channels`: each part of a real daemon logs at its level, in its form, where it shall. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import type { Place } from "../kit/daemon_options.ts";
import { callFromPhp } from "../kit/php_rpc.ts";
import { freePort } from "../kit/ports.ts";
import { fixture, type Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const php = (name: string) => ["php", fixture(`php/${name}.php`)];

const [tcp, metrics, status] = [freePort(), freePort(), freePort()];

/** A daemon that has everything. @param logs the section, with a main log in main.log */
function everything(logs: (dir: string) => Yaml) {
  return ({ dir, port }: Pick<Place, "dir" | "port">): Yaml => ({
    server: { command: php("http_worker") },
    http: { address: `127.0.0.1:${port}`, access_logs: true, pool: { num_workers: 1 } },
    tcp: {
      servers: { main: { addr: `127.0.0.1:${tcp}` } },
      pool: { num_workers: 1, command: [...php("tcp_worker"), `${dir}/tcp-events`] },
    },
    jobs: {
      pipelines: { mail: { driver: "memory" } },
      pool: { num_workers: 1, command: php("jobs_worker") },
      consume: ["mail"],
    },
    rpc: { listen: `unix://${dir}/rpc.sock` },
    metrics: { address: `127.0.0.1:${metrics}` },
    status: { address: `127.0.0.1:${status}` },
    service: { beat: { command: "sleep 1000" } },
    logs: { mode: "production", output: `${dir}/main.log`, ...logs(dir) },
  });
}

/** Events in a file of JSON lines, oldest first. */
function events(d: Daemon, file: string): { event: string; data: Record<string, unknown> }[] {
  const lines = (d.read(file) ?? "").split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

const names = (d: Daemon, file: string) => events(d, file).map(({ event }) => event);

/** Waits until a file has an event. */
const logged = (d: Daemon, file: string, event: string) =>
  until(`${event} in ${file}`, () => names(d, file).includes(event));

/** `{pipelines: ["mail"]}` as protobuf. */
const PIPELINES_MAIL = "0a046d61696c";

const CHANNELS = [
  "server",
  "http",
  "tcp",
  "jobs",
  "rpc",
  "metrics",
  "status",
  "service",
  "app",
  "logs",
] as const;

daemonTest("every channel to a file of its own, and the rest to the main log", {
  config: everything((dir) => ({
    channels: Object.fromEntries(
      CHANNELS.map((name) => [name, { output: `${dir}/${name}.log`, level: "debug" }]),
    ),
  })),
}, async (d) => {
  await d.get("/echo");
  await callFromPhp(`unix://${d.path("rpc.sock")}`, [
    ["app.Info", { json: "from the shop" }],
    ["jobs.Pause", { hex: PIPELINES_MAIL }],
  ]);
  await logged(d, "http.log", "http_request");
  await logged(d, "app.log", "app_log");
  d.kill("SIGUSR1");
  await until("all files to be opened anew", () => names(d, "logs.log").length >= 11);

  assert(names(d, "server.log").includes("worker_ready"), "debug");
  assertEquals(names(d, "http.log"), ["listener_bound", "http_request"]);
  assertEquals(names(d, "tcp.log"), ["listener_bound"]);
  assertEquals(names(d, "jobs.log"), ["pipeline_paused"]);
  for (const name of ["rpc", "metrics", "status"]) {
    assertEquals(names(d, `${name}.log`), ["listener_bound"]);
  }
  assert(names(d, "service.log").includes("process_started"));
  assertEquals(names(d, "app.log"), ["app_log"]);
  const reopened = events(d, "logs.log").map(({ data }) => data.file);
  for (const name of [...CHANNELS, "main"]) assert(reopened.includes(d.path(`${name}.log`)), name);

  const main = names(d, "main.log");
  assert(main.includes("daemon_ready"), main.join(" "));
  const others = CHANNELS.flatMap((name) => names(d, `${name}.log`));
  assertEquals(main.filter((name) => others.includes(name)), [], "nothing is there twice");
});

daemonTest("level, form, several places, rotation; a reload changes them live", {
  config: everything((dir) => ({
    channels: {
      http: {
        output: [`${dir}/http.log`, "stderr"],
        file_logger_options: { max_size: 1, max_backups: 1 },
      },
      server: { level: "debug", encoding: "console" },
    },
  })),
}, async (d) => {
  assertMatch(d.read("main.log")!, /^\d\d:\d\d:\d\d\.\d{3} debug worker_ready /m);
  assertMatch(d.read("main.log")!, /^\{"at":.*"event":"daemon_ready"/m);
  await d.get("/echo");
  const seen = (text: string) => text.split('"event":"http_request"').length - 1;
  await until(
    "the request in both places",
    () => seen(d.read("http.log") ?? "") === 1 && seen(d.output()) === 1,
  );

  // 7 KB a line: the file is turned over after 150 requests.
  const headers = { "user-agent": "x".repeat(7000) };
  for (let i = 0; i < 320; i++) await d.get("/echo", { headers });
  await until("all requests to be logged", () => seen(d.output()) === 321);
  const kept = Array.from(Deno.readDirSync(d.dir), ({ name }) => name)
    .filter((name) => name.startsWith("http.log"));
  assertEquals(kept.toSorted(), ["http.log", "http.log.1"]);
  assert(Deno.statSync(d.path("http.log.1")).size <= 1024 * 1024);

  const main = d.read("main.log")!.length;
  d.configure(everything((dir) => ({
    channels: { http: { output: `${dir}/access.log`, line_ending: "\r\n" } },
  })));
  await d.ok("reload");
  await d.get("/echo");
  await logged(d, "access.log", "http_request");
  assert(d.read("access.log")!.endsWith("}\r\n"));
  assert(!/^\d\d:\d\d/m.test(d.read("main.log")!.slice(main)), "the server's lines are JSON again");

  d.configure(everything((dir) => ({ channels: { http: { output: `${dir}/run` } } })));
  const { code, stderr } = await d.cli("reload");
  assert(code !== 0, "a directory is no log");
  assertMatch(stderr, /cannot open log file ".*run"/);
  const size = d.read("access.log")!.length;
  await d.get("/echo");
  await until("the next request where it was", () => d.read("access.log")!.length > size);
});

daemonTest("detached, its default file stands for standard error and output, and no more", {
  start: false,
  config: ({ dir }) => ({
    processes: { idle: { command: "sleep 1000" } },
    service: { beat: { command: "sleep 1000" } },
    logs: {
      mode: "production",
      output: [`${dir}/main.log`, "stdout"],
      channels: { service: { output: "stderr" } },
    },
  }),
}, async (d) => {
  const started = await d.ok("serve", "--detach", "--json");
  assertEquals(started.json().log_file, d.path("main.log"));
  await logged(d, "main.log", "daemon_ready");
  await logged(d, "state/log/daemon.log", "daemon_ready");
  await logged(d, "state/log/daemon.log", "process_started");
  assertEquals(names(d, "main.log").includes("process_started"), false);
  await d.ok("shutdown");

  const given = await d.ok("serve", "--detach", "--json", "--log-file", d.path("given.log"));
  assertEquals(given.json().log_file, d.path("given.log"));
  const before = names(d, "main.log").length;
  await logged(d, "given.log", "daemon_ready");
  await logged(d, "given.log", "process_started");
  assertEquals(names(d, "main.log").length, before);
  await d.ok("shutdown");
});
