/** RoadRunner's sections: units, both forms, what is filled in, services as processes, comparison. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { compare } from "../../../lib/config/mod.ts";
import type { Config } from "../../../lib/config/config.ts";
import {
  httpOf,
  type LogPlace,
  logSettings,
  logsOf,
  metricsOf,
  rpcOf,
  serverOf,
  statusOf,
} from "../../../lib/config/roadrunner/mod.ts";
import { comparisons, sections } from "../../../plugins/registry.ts";
import { messages, readFiles } from "./kit.ts";

const BASE = "server: { command: php worker.php }\nprocesses: { any: { command: x } }\n";

async function configOf(text: string, env: Record<string, string> = {}): Promise<Config> {
  const result = await readFiles(text, { env, cores: 6 }, sections());
  assert(result.config !== undefined, messages(result).join("; "));
  return result.config;
}

/** A path without the directory of the configuration. */
const inDir = ({ dir }: Config) => (path: string) => path.replace(dir, "DIR");

async function poolOf(pool: string) {
  const text = `${BASE}http: { address: 127.0.0.1:80, pool: { ${pool} } }`;
  const { warmup: _, ...settings } = httpOf(await configOf(text))!.pool;
  return settings;
}

Deno.test("server: defaults, both forms of env and command, paths of sockets", async () => {
  assertEquals(serverOf(await configOf("processes: { a: { command: b } }")), {
    relay: "pipes",
    env: {},
  });
  const config = await configOf(
    `
server:
  command: php "my worker.php" $HOME
  relay: unix://run/relay.sock
  user: ""
  env: [{ app_env: prod }, { n: 1, empty: "$HOME" }]
  on_init: { command: [php, -v], env: { a: b } }
processes: { any: { command: x } }
`,
    { HOME: "/h" },
  );
  const { relay, ...rest } = serverOf(config);
  assertEquals(relay, `unix://${config.dir}/run/relay.sock`);
  assertEquals(rest, {
    command: 'php "my worker.php" /h',
    user: undefined,
    group: undefined,
    env: { APP_ENV: "prod", N: "1", EMPTY: "/h" },
    on_init: {
      command: ["php", "-v"],
      env: { A: "b" },
      exec_timeout: 60_000,
      exit_on_error: false,
    },
  });
});

Deno.test("pool: RoadRunner's defaults and ours", async () => {
  assertEquals(await poolOf(""), {
    debug: false,
    num_workers: 6,
    max_jobs: 0,
    max_queue_size: 0,
    allocate_timeout: 60_000,
    reset_timeout: 60_000,
    stream_timeout: 60_000,
    destroy_timeout: 60_000,
    supervisor: { watch_tick: 5000, ttl: 0, idle_ttl: 0, exec_ttl: 0, max_worker_memory: 0 },
    dynamic_allocator: undefined,
    max_surge: 1,
  });
});

Deno.test("pool: 0 means the default where RoadRunner has it so, and units are told apart", async () => {
  const pool = await poolOf(
    "num_workers: 0, allocate_timeout: 0s, destroy_timeout: 90s, dynamic_allocator: { idle_timeout: 10ms }, supervisor: { watch_tick: 0, max_worker_memory: 100 }",
  );
  assertEquals([pool.num_workers, pool.allocate_timeout, pool.destroy_timeout], [6, 60e3, 90e3]);
  assertEquals([pool.supervisor.watch_tick, pool.supervisor.max_worker_memory], [
    5000,
    100 * 1024 * 1024,
  ]);
  assertEquals(pool.dynamic_allocator, { max_workers: 10, spawn_rate: 5, idle_timeout: 60_000 });
  const sized = await poolOf("supervisor: { max_worker_memory: 64MB }");
  assertEquals(sized.supervisor.max_worker_memory, 64_000_000);
});

Deno.test("pool.max_surge: a number, or a part of the workers, never below one", async () => {
  const surge = async (text: string) => (await poolOf(text)).max_surge;
  assertEquals(await surge("num_workers: 50"), 12);
  assertEquals(await surge("num_workers: 3, max_surge: 25%"), 1);
  assertEquals(await surge("num_workers: 8, max_surge: 100%"), 8);
  assertEquals(await surge("num_workers: 8, max_surge: 3"), 3);
});

Deno.test("http: defaults, sizes, extensions, the directory of uploads", async () => {
  const read = async (text: string, env = {}) =>
    httpOf(await configOf(`${BASE}http: { address: 127.0.0.1:80${text} }`, env))!;
  const http = await read("");
  assertEquals(http.max_request_size, 1000 * 1024 * 1024);
  assertEquals(http.internal_error_code, undefined);
  assertEquals(http.uploads, { dir: "/tmp", forbid: [], allow: [] });
  assertEquals([http.encoding, http.drain_timeout, http.headers], [
    "json",
    60_000,
    { request: {}, response: {}, cors: undefined },
  ]);
  assertEquals((await read(", max_request_size: 0")).max_request_size, 1000 * 1024 * 1024);
  assertEquals((await read(", max_request_size: 2")).max_request_size, 2 * 1024 * 1024);
  assertEquals((await read(", max_request_size: 10KiB")).max_request_size, 10_240);
  const { uploads } = await read(', uploads: { forbid: [.PHP, exe, ""] }', { TMPDIR: "/var/tmp" });
  assertEquals(uploads, { dir: "/var/tmp", forbid: [".php", ".exe"], allow: [] });
  const cors = (await read(', headers: { cors: { allowed_origin: "*" } }')).headers.cors!;
  assertEquals([cors.allowed_origin, cors.max_age, cors.options_success_status], ["*", 0, 200]);
});

Deno.test("http.address: a Unix socket counts from the file's directory", async () => {
  const config = await configOf(`${BASE}http: { address: unix://run/http.sock }`);
  assertEquals(httpOf(config)!.address, { path: `${config.dir}/run/http.sock` });
});

Deno.test("rpc, status, metrics, logs: values", async () => {
  const config = await configOf(`${BASE}
rpc:
status: { address: ":2114", check_timeout: 5 }
metrics:
  collect: { orders: { type: counter } }
logs: { mode: production, file_logger_options: { log_output: app.log, max_size: 10, max_backups: 2 } }
`);
  assertEquals(rpcOf(config), { listen: "tcp://127.0.0.1:6001" });
  assertEquals(statusOf(config), {
    address: { host: "0.0.0.0", port: 2114 },
    unavailable_status_code: 503,
    check_timeout: 5000,
  });
  assertEquals(metricsOf(config), {
    address: { host: "127.0.0.1", port: 2112 },
    collect: {
      orders: {
        type: "counter",
        help: "orders",
        namespace: "",
        subsystem: "",
        labels: [],
        buckets: [],
        objectives: {},
      },
    },
  });
  assertEquals(logsOf(config), {
    mode: "production",
    level: "info",
    encoding: "json",
    line_ending: "\n",
    output: [`${config.dir}/app.log`],
    rotation: { bytes: 10 * 1024 * 1024, files: 3 },
    channels: {},
  });
});

Deno.test("logs: what modes and RoadRunner's levels mean", async () => {
  const logs = async (text: string) => {
    const { level, encoding } = logsOf(await configOf(`${BASE}logs: { ${text} }`))!;
    return [level, encoding];
  };
  assertEquals(await logs(""), ["debug", "console"]);
  assertEquals(await logs("mode: raw"), ["info", "json"]);
  assertEquals(await logs("mode: none, level: debug"), ["error", "json"]);
  assertEquals(await logs("level: warning, encoding: json"), ["warn", "json"]);
  assertEquals(await logs("level: panic"), ["error", "console"]);
});

Deno.test("logs: the file of the command line wins, then places, then where streams lead", async () => {
  const settings = async (text: string, place: LogPlace = {}) => {
    const config = await configOf(`${BASE}${text}`);
    const { limits, level, places, readable, crlf } = logSettings(config, place);
    return { limits, level, places: places?.map(inDir(config)), readable, crlf };
  };
  const limits = { bytes: 20_000_000, files: 10 };
  const unsaid = { level: "info" as const, limits, readable: undefined, crlf: undefined };
  assertEquals(await settings(""), { ...unsaid, places: ["stderr"] });
  assertEquals(await settings("", { stderr_file: "/d.log" }), { ...unsaid, places: ["/d.log"] });
  const json = { level: "info" as const, readable: false, limits, crlf: false };
  const app = "logs: { mode: production, output: app.log }";
  assertEquals(await settings(app), { ...json, places: ["DIR/app.log"] });
  const detached = { stderr_file: "/d.log" };
  assertEquals(await settings(app, detached), { ...json, places: ["DIR/app.log"] });
  const given = { log_file: "/x.log", stderr_file: "/x.log" };
  assertEquals(await settings(app, given), { ...json, places: ["/x.log"] });
  const several = "logs: { output: [stdout, a.log, stderr] }";
  assertEquals((await settings(several)).places, ["stdout", "DIR/a.log", "stderr"]);
  assertEquals((await settings(several, detached)).places, ["/d.log", "DIR/a.log", "/d.log"]);
  const file = 'logs: { line_ending: "\\r\\n", file_logger_options: ' +
    "{ log_output: /l, max_size: 1, max_backups: 0 } }";
  assertEquals(await settings(file), {
    level: "debug",
    readable: true,
    places: ["/l"],
    limits: { bytes: 1024 * 1024, files: 1 },
    crlf: true,
  });
});

Deno.test("logs: a channel has what the section says, but for what it says itself", async () => {
  const channels = async (text: string, place: LogPlace = {}) => {
    const config = await configOf(`${BASE}${text}`);
    const all = [...logSettings(config, place).channels ?? []];
    return Object.fromEntries(all.map(([name, { level, places, readable, limits }]) => [
      name,
      [level, readable ? "console" : "json", places?.map(inDir(config)), limits?.files],
    ]));
  };
  const text = `
logs:
  mode: production
  output: app.log
  file_logger_options: { max_backups: 1 }
  channels:
    server: {}
    http: { output: [access.log, stderr], file_logger_options: { max_backups: 4 } }
    jobs: { mode: development }
    tcp: { level: warn, encoding: console }
    rpc: { mode: "off" }
`;
  assertEquals(await channels(text), {
    server: ["info", "json", ["DIR/app.log"], 2],
    http: ["info", "json", ["DIR/access.log", "stderr"], 5],
    jobs: ["debug", "console", ["DIR/app.log"], 2],
    tcp: ["warn", "console", ["DIR/app.log"], 2],
    rpc: ["error", "json", ["DIR/app.log"], 2],
  });
  const given = await channels(text, { log_file: "/x.log" });
  assertEquals([given.server[2], given.http[2]], [["/x.log"], ["DIR/access.log", "/x.log"]]);
  assertEquals(await channels("logs: { mode: 'off', channels: { http: { level: info } } }"), {
    http: ["info", "json", ["stderr"], 10],
  });
});

Deno.test("logs: what cannot be honoured is named", async () => {
  const told = async (text: string) => {
    const { problems } = await readFiles(`${BASE}logs: ${text}`, {}, sections());
    return problems.map(({ severity, message, fix }) => `${severity}: ${message} – ${fix}`);
  };
  assertEquals(await told("{ channels: { htpp: {} } }"), [
    'warning: logs.channels.htpp has no effect: no event is of that channel – did you mean "http"?',
  ]);
  assertEquals(await told("{ channels: { http: { err_output: stderr } } }"), [
    "warning: logs.channels.http.err_output has no effect: what the log itself cannot do is told in " +
    "the log (log_lost) – remove it to silence this",
  ]);
  const [compress] = await told(
    "{ channels: { http: { file_logger_options: { compress: true } } } }",
  );
  assertMatch(
    compress,
    /^warning: logs\.channels\.http\.file_logger_options\.compress has no effect/,
  );
  const [twice] = await told(
    "{ output: /a, channels: { http: { file_logger_options: { max_backups: 1 } } } }",
  );
  assertMatch(twice, /^warning: logs.channels.http.file_logger_options has no effect for "\/a"/);
  const [ending] = await told('{ line_ending: "x" }');
  assertMatch(ending, /^error: logs.line_ending must be "\\n" or "\\r\\n", got "x"/);
});

Deno.test("service: becomes companions that stop by SIGINT and start again without growing waits", async () => {
  const config = await configOf(`
service:
  beat: { command: "php 'my beat.php'", process_num: 2, remain_after_exit: true, restart_sec: 3, timeout_stop_sec: 1m, env: [{ a: b }] }
  once: { command: [run] }
processes: { web: { command: x } }
`);
  const [web, beat, once] = config.processes;
  assertEquals([web.id, web.origin], ["web", undefined]);
  const { port: _, memory: __, ...standard } = web;
  assertEquals(beat, {
    ...standard,
    id: "beat",
    origin: "service",
    command: ["php", "my beat.php"],
    replicas: 2,
    env: { A: "b" },
    stop_signal: "SIGINT",
    graceful_stop: 60_000,
    restart: { delay: 3000, max_restarts: undefined, window: 0, backoff_factor: 1, max_delay: 0 },
  });
  assertEquals([once.command, once.restart.max_restarts, once.restart.delay], [["run"], 0, 30_000]);
});

Deno.test("processes and services may depend on each other, and are one set of names", async () => {
  const text = "service: { beat: { command: x } }\nprocesses: { a: { command: x, depends_on: ";
  assertEquals((await configOf(`${text}{ beat: started } } }`)).processes.length, 2);
  const wrong = await readFiles(`${text}{ baet: started } } }`, {}, sections());
  assertEquals(wrong.problems.map(({ fix }) => fix), ['did you mean "beat"?']);
});

async function changes(before: string, after: string): Promise<string[]> {
  const [old, next] = [await configOf(BASE + before), await configOf(BASE + after)];
  return compare(
    { ...next, ...old, dir: next.dir, application: next.application },
    next,
    comparisons(),
  )
    .map(({ field, effect }) => `${field} ${effect}`);
}

Deno.test("compare: addresses are listeners, the rest of small sections is live", async () => {
  assertEquals(
    await changes(
      "status: { address: :1 }\nmetrics: { collect: { a: { type: gauge } } }\nlogs: { level: info }",
      "status: { address: :2, check_timeout: 1 }\nmetrics: { collect: { a: { type: counter } } }\nlogs: { level: warn }",
    ),
    [
      "status.address listener",
      "status.check_timeout live",
      "metrics.collect.a.type live",
      "logs.level live",
    ],
  );
  assertEquals(await changes("", "status: { address: :2 }"), ["status listener"]);
  assertEquals(await changes("rpc:", "rpc: { listen: tcp://127.0.0.1:7 }"), [
    "rpc.listen listener",
    "rpc.listen generation",
  ]);
});

Deno.test("compare: server is a new generation; a service is told once, as what it is", async () => {
  assertEquals(await changes("", "").then((all) => all.length), 0);
  assertEquals(await changes("x-a: 1", "x-a: 1\nservice: { a: { command: b } }"), [
    "service.a generation",
  ]);
  assertEquals(
    await changes(
      "service: { a: { command: b } }",
      "service: { a: { command: c, restart_sec: 1 } }",
    ),
    ["service.a.command generation", "service.a.restart.delay live"],
  );
  const one = await configOf("server: { command: a }\nservice: { a: { command: b } }");
  const two = await configOf(
    "server: { command: a, env: { x: y } }\nservice: { a: { command: b } }",
  );
  const found = compare({ ...two, sections: one.sections }, two, comparisons());
  assertEquals(found, [{ field: "server.env.X", effect: "generation" }]);
});
