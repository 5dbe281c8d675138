/** From configuration to what runs: every template variable, every injected name, every failure. */

import { assertEquals, assertThrows } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { ReleaseContext } from "../../../lib/release/intake.ts";
import {
  type Copy,
  instanceId,
  markOf,
  renderLive,
  renderProcess,
} from "../../../lib/release/render.ts";
import { configOf, processOf, proxyOf } from "./configs.ts";

const RELEASE = {
  release_id: "v1~2",
  release_path: "/srv/app/releases/v1",
  revision: "abc123",
} as ReleaseContext;

function rendered(
  more: Partial<ProcessConfig>,
  copy: Partial<Copy> = {},
  config: Partial<Config> = {},
) {
  const process = processOf("background-jobs.main", "companion", more);
  const proxy = proxyOf({ address: { host: "0.0.0.0", port: 8182 }, upstream_host: "127.0.0.9" });
  return renderProcess(process, { index: 0, count: 1, ...copy }, {
    config: configOf([process], { proxy, ...config }),
    release: RELEASE,
    env: { PATH: "/bin", HOME: "/root", SECRET: "s3cret" },
    ports: new Map([["web", 20_000], ["db.main", 20_001]]),
  });
}

const VALUES: Record<string, string> = {
  release_path: "/srv/app/releases/v1",
  release_id: "v1~2",
  revision: "abc123",
  application: "app",
  process_id: "background-jobs.main",
  replica_index: "2",
  replica_count: "3",
  port: "20005",
  "ports.web": "20000",
  "ports.db.main": "20001",
  "proxy.host": "0.0.0.0",
  "proxy.port": "8182",
  "proxy.upstream_host": "127.0.0.9",
  "env.SECRET": "s3cret",
};
const COPY = { index: 2, count: 3, port: 20_005 };

for (const [name, value] of Object.entries(VALUES)) {
  Deno.test(`{{${name}}} has its value in every templated field`, () => {
    const text = `x{{${name}}}y{{ ${name} }}`;
    const spec = rendered({
      command: text,
      cwd: `/${text}`,
      env: { A: text },
      health: { kind: "http", ...defaults.HEALTH, path: text },
      lifecycle: {
        drain_timeout: 0,
        quiet_command: text,
        drain_command: text,
        stop_command: text,
      },
    }, COPY);
    const expected = `x${value}y${value}`;
    assertEquals(spec.argv, ["/bin/sh", "-c", expected]);
    assertEquals(spec.command, expected);
    assertEquals(spec.cwd, `/${expected}`);
    assertEquals(spec.env.A, expected);
    const { probe, lifecycle } = spec.live;
    assertEquals(probe.kind === "http" && probe.path, expected);
    assertEquals(lifecycle.quiet_command, expected);
    assertEquals(lifecycle.drain_command, expected);
    assertEquals(lifecycle.stop_command, expected);
  });
}

Deno.test("a list runs without a shell, each word rendered", () => {
  const spec = rendered({ command: ["node", "{{port}} {{replica_index}}", "$HOME"] }, COPY);
  assertEquals(spec.argv, ["node", "20005 2", "$HOME"]);
  assertEquals(spec.command, "node 20005 2 $HOME");
});

Deno.test("a relative cwd counts from the release", () => {
  assertEquals(rendered({ cwd: "web/app" }).cwd, "/srv/app/releases/v1/web/app");
  assertEquals(rendered({ cwd: "{{release_path}}/x" }).cwd, "/srv/app/releases/v1/x");
});

Deno.test("a copy is named by its index only when there are several", () => {
  assertEquals(instanceId("web", { index: 0, count: 1 }), "web");
  assertEquals(instanceId("web", { index: 1, count: 2 }), "web#1");
  assertEquals(rendered({}, COPY).instance, "background-jobs.main#2");
  assertEquals(rendered({}, COPY).id, "background-jobs.main");
});

Deno.test("the injected environment, under the process's own", () => {
  assertEquals(rendered({ env: { SECRET: "other", SUPERVISOR_REVISION: "mine" } }, COPY).env, {
    PATH: "/bin",
    HOME: "/root",
    SECRET: "other",
    SUPERVISOR_APPLICATION: "app",
    SUPERVISOR_PROCESS_ID: "background-jobs.main",
    SUPERVISOR_RELEASE_ID: "v1~2",
    SUPERVISOR_RELEASE_PATH: "/srv/app/releases/v1",
    SUPERVISOR_REVISION: "mine",
    SUPERVISOR_REPLICA_INDEX: "2",
    SUPERVISOR_REPLICA_COUNT: "3",
    SUPERVISOR_WEB_PORT: "20000",
    SUPERVISOR_DB_MAIN_PORT: "20001",
    SUPERVISOR_PORT: "20005",
  });
  assertEquals("SUPERVISOR_PORT" in rendered({}).env, false);
});

Deno.test("a user gets a home and a name, unless they are configured, as templates too", () => {
  const identity = { user: "app", uid: 1000, gid: 1000, home: "/home/app" };
  const plain = rendered({}, { identity }).env;
  assertEquals([plain.HOME, plain.USER, plain.LOGNAME], ["/home/app", "app", "app"]);
  const own = rendered({ env: { HOME: "{{release_path}}", USER: "me" } }, { identity }).env;
  assertEquals([own.HOME, own.USER, own.LOGNAME], ["/srv/app/releases/v1", "me", "app"]);
});

Deno.test("the probe asks the program itself", () => {
  const health = { kind: "http" as const, ...defaults.HEALTH, path: "/up" };
  assertEquals(rendered({ health }, COPY).live.probe, {
    kind: "http",
    host: "127.0.0.9",
    port: 20_005,
    path: "/up",
    timeout: 30_000,
    interval: 250,
    attempt_timeout: 5_000,
    start_delay: 0,
  });
  const { path: _, ...times } = defaults.HEALTH;
  const tcp =
    rendered({ health: { kind: "tcp", ...times } }, COPY, { proxy: undefined }).live.probe;
  assertEquals([tcp.kind, tcp.kind === "tcp" && tcp.host], ["tcp", "127.0.0.1"]);
  assertEquals(rendered({ health: { kind: "none" } }, COPY).live.probe, { kind: "none" });
});

const FIELDS: [string, Partial<ProcessConfig>][] = [
  ["command", { command: "run {{port}}" }],
  ["command", { command: ["run", "{{port}}"] }],
  ["cwd", { cwd: "/x/{{port}}" }],
  ["env.GREETING", { env: { GREETING: "{{port}}" } }],
  ["lifecycle.quiet_command", { lifecycle: { drain_timeout: 0, quiet_command: "{{port}}" } }],
  ["lifecycle.drain_command", { lifecycle: { drain_timeout: 0, drain_command: "{{port}}" } }],
  ["lifecycle.stop_command", { lifecycle: { drain_timeout: 0, stop_command: "{{port}}" } }],
];
for (const [field, more] of FIELDS) {
  Deno.test(`a missing value names variable and field: ${field} ${JSON.stringify(more)}`, () => {
    const failure = assertThrows(() => rendered(more), Failure);
    assertEquals(
      failure.message,
      'cannot start "background-jobs.main": ' +
        `{{port}} in processes.background-jobs.main.${field} has no value`,
    );
    assertEquals(failure.detail, { process: "background-jobs.main", field, missing: ["port"] });
  });
}

Deno.test("a missing value in the health path, and several at once", () => {
  const health = { kind: "http" as const, ...defaults.HEALTH, path: "/{{env.A}}/{{env.B}}" };
  const failure = assertThrows(() => rendered({ health }, COPY), Failure);
  assertEquals(failure.detail, {
    process: "background-jobs.main",
    field: "health.path",
    missing: ["env.A", "env.B"],
  });
  assertEquals(
    failure.fix,
    "set the variable in the environment of the daemon, or with --dotenv",
  );
});

Deno.test("no message carries a value of the environment", () => {
  const failure = assertThrows(
    () => rendered({ command: "run {{env.SECRET}} {{env.MISSING}}" }),
    Failure,
  );
  assertEquals(failure.text.includes("s3cret"), false);
  assertEquals(JSON.stringify(failure.detail).includes("s3cret"), false);
});

Deno.test("without a proxy its names have no value but that of the upstream host", () => {
  const none = { proxy: undefined };
  assertEquals(rendered({ command: "{{proxy.upstream_host}}" }, {}, none).command, "127.0.0.1");
  const failure = assertThrows(() => rendered({ command: "{{proxy.port}}" }, {}, none), Failure);
  assertEquals(failure.detail?.missing, ["proxy.port"]);
});

Deno.test("names that every object has are not variables", () => {
  const failure = assertThrows(() => rendered({ command: "{{env.constructor}}" }), Failure);
  assertEquals(failure.detail?.missing, ["env.constructor"]);
});

Deno.test("the settings of a running copy are the configuration's", () => {
  const memory = { limit: 100, warn: 50, check_interval: 5_000 };
  const process = processOf("web", "companion", {
    stop_signal: "SIGINT",
    graceful_stop: "indefinite",
    memory,
    output_lines: 7,
  });
  const live = renderLive(process, { index: 0, count: 1 }, {
    config: configOf([process]),
    release: RELEASE,
    env: {},
    ports: new Map(),
  });
  assertEquals(live.stop_signal, "SIGINT");
  assertEquals(live.graceful_stop, "indefinite");
  assertEquals(live.memory, memory);
  assertEquals(live.output_lines, 7);
  assertEquals(live.restart, process.restart);
});

Deno.test("the mark is what the environment really says", () => {
  assertEquals(markOf(rendered({}).env), "SUPERVISOR_RELEASE_PATH=/srv/app/releases/v1");
  const own = rendered({ env: { SUPERVISOR_RELEASE_PATH: "/elsewhere" } });
  assertEquals(markOf(own.env), "SUPERVISOR_RELEASE_PATH=/elsewhere");
  assertEquals(markOf({}), undefined);
});
