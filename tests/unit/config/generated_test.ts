/** What is made from the schema is in step with it, and says what the code does. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { z } from "zod";
import * as defaults from "../../../lib/config/defaults.ts";
import { describeSchema, type KeySchema } from "../../../lib/config/json_schema.ts";
import { jsonSchema } from "../../../lib/config/mod.ts";
import type { JobsConfig } from "../../../lib/config/roadrunner/jobs.ts";
import { DRIVERS } from "../../../lib/config/roadrunner/drivers/mod.ts";
import { jobsOf } from "../../../lib/config/roadrunner/mod.ts";
import { fileSchema } from "../../../lib/config/schema/file.ts";
import { parseDuration } from "../../../lib/core/duration.ts";
import { parseSize } from "../../../lib/core/size.ts";
import { generated, leftOver, outOfStep } from "../../../scripts/schema.ts";
import { sections } from "../../../plugins/registry.ts";
import { configOf, messages, readFiles } from "./kit.ts";

Deno.test("schema file and manual are in step with the tables they are made of", () => {
  const all = generated();
  const files = outOfStep(all).map(({ file }) => file);
  assertEquals(files, [], "out of step: run deno task schema");
  assertEquals(leftOver(all), [], "about something that is gone: remove them");
});

/** Lists and maps whose values need no description of their own. */
const PLAIN =
  /\.(?:command|include|labels|buckets|objectives|allow|forbid|trusted_headers|env|output)(?:\[\])+$/;

Deno.test("every key is described", () => {
  const missing: string[] = [];
  const visit = (node: KeySchema, path: string) => {
    if (node.description === undefined) missing.push(path);
    for (const [key, next] of Object.entries(node.properties ?? {})) visit(next, `${path}.${key}`);
    for (const next of [node.items, node.additionalProperties]) {
      if (typeof next === "object") visit(next, `${path}[]`);
    }
    for (const next of node.anyOf ?? []) if (next.properties !== undefined) visit(next, path);
  };
  visit(describeSchema(fileSchema), "");
  for (const [name, { schema }] of sections()) visit(describeSchema(schema), name);
  assertEquals(missing.filter((path) => !PLAIN.test(path)), []);
});

Deno.test("the defaults that schema and manual tell are those the program uses", async () => {
  const config = await configOf(
    "proxy: {}\nprocesses: { a: { command: x, port: 0, health: {}, memory: { limit: 1MB } } }",
  );
  const [process] = config.processes;
  const values: Record<string, unknown> = {
    ...config,
    control: { ...config.control, mode: config.control.mode.toString(8) },
    proxy: { ...config.proxy, address: `${defaults.PROXY.host}:${defaults.PROXY.port}` },
    processes: { ...process, health: { tcp: false, ...process.health } },
  };
  const checked = checkDefaults(describeSchema(fileSchema), values, "");
  assert(checked >= 30, `${checked} defaults`);
});

Deno.test("so are those of RoadRunner's sections", async () => {
  const text = `
server: { command: x, on_init: { command: x } }
http:
  address: 127.0.0.1:80
  pool: { dynamic_allocator: {} }
  headers: { cors: {} }
  static: {}
  ssl: { cert: supervisor.yaml, key: supervisor.yaml }
  middleware: [static, headers]
tcp: { servers: { a: { addr: 127.0.0.1:7 } }, pool: { dynamic_allocator: {} } }
jobs:
  options: {}
  pool: { dynamic_allocator: {} }
  pipelines: { a: { driver: memory, retry: {}, unique: { window: 1s } } }
  schedules: { a: { cron: "@daily", pipeline: a, job: X } }
rpc:
status: { address: 127.0.0.1:1 }
metrics: { collect: { a: { type: counter } } }
redis: {}
amqp: {}
nats: {}
beanstalk: {}
logs:
service: { a: { command: x } }
`;
  const { config, dir, problems } = await readFiles(text, { cores: 8 }, sections());
  assert(config !== undefined, messages({ problems }).join("; "));
  let checked = 0;
  for (const [name, { schema }] of sections()) {
    const node = describeSchema(schema);
    const written = config.sections[name] as Record<string, unknown>;
    const value = name === "jobs" ? spread(jobsOf(config)!) as Record<string, unknown> : written;
    checked += checkDefaults(node, node.properties === undefined ? value.a : value, name, dir);
  }
  assert(checked >= 40, `${checked} defaults`);
});

/** Maps of which the test has the one called `a`. */
const NAMED = ["metrics.collect", "tcp.servers", "jobs.pools", "jobs.pipelines", "jobs.schedules"];

/** `jobs` with every value wherever it may be written. */
function spread(jobs: JobsConfig) {
  const { a } = jobs.pipelines;
  const { config, priority, prefetch } = a;
  const presets = [...DRIVERS.values()].map((driver) => driver.complete({}, "a", (path) => path));
  const own: Record<string, unknown> = Object.assign({}, ...presets, config);
  const pipelines = { a: { ...own, ...a, config: { ...own, priority, prefetch } } };
  return { ...jobs, pools: { a: jobs.pool }, pipelines };
}

/** Compares every default that is told with the value that is used. @returns how many */
function checkDefaults(node: KeySchema, value: unknown, path: string, dir?: string): number {
  const map = node.properties ?? node.anyOf?.find((one) => one.properties)?.properties;
  let checked = 0;
  for (const [key, next] of Object.entries(map ?? {})) {
    const below = (value as Record<string, unknown> | undefined)?.[key];
    checked += checkDefaults(next, below, `${path}.${key}`, dir);
  }
  if (typeof node.additionalProperties === "object") {
    const isNamed = NAMED.includes(path);
    const named = isNamed ? (value as Record<string, unknown>).a : value;
    checked += checkDefaults(node.additionalProperties, named, path, dir);
  }
  const told = node.default_value;
  if (told === undefined) return checked;
  assertEquals(asRead(node.kind, told, dir), value, path);
  return checked + 1;
}

/** What a default that is told becomes when it is read. */
function asRead(kind: string | undefined, told: unknown, dir = ""): unknown {
  const text = String(told);
  const [host, port] = text.replace(/^tcp:\/\//, "").split(":");
  if (kind?.startsWith("duration")) return parseDuration(text);
  if (kind === "size or number of megabytes") return parseSize(text);
  if (kind === "size") return parseSize(text);
  if (kind === "octal mode") return parseInt(text, 8);
  if (kind?.endsWith("host:port") && dir !== "") return { host, port: Number(port) };
  if (text === "25%") return 2; // of eight workers
  if (text === ".") return dir;
  if (text === "stderr") return [text];
  return told;
}

/** The product's words, not the code's: a default that changes by mistake fails here. */
Deno.test("the defaults are those of the contract", () => {
  const { PROXY, HEALTH, PROCESS, RESTART, MEMORY, RETENTION } = defaults;
  assertEquals(PROXY.timeouts, {
    header: 10e3,
    idle: 75e3,
    send: 60e3,
    connect: 5e3,
    response: 60e3,
  });
  assertEquals(PROXY.limits, { header_bytes: 65536, headers: 200, body: 0 });
  assertEquals([PROXY.host, PROXY.port, PROXY.hold], ["127.0.0.1", 8182, 2000]);
  assertEquals([PROXY.drain_timeout, PROXY.force_stop_timeout], [60_000, 10_000]);
  assertEquals(HEALTH, {
    path: "/ping",
    timeout: 30_000,
    interval: 250,
    attempt_timeout: 5000,
    start_delay: 0,
  });
  assertEquals([PROCESS.policy, PROCESS.replicas, PROCESS.output_lines], ["companion", 1, 50]);
  assertEquals(RESTART, { delay: 1000, window: 0, backoff_factor: 2, max_delay: 30_000 });
  assertEquals(MEMORY, { warn: 0, check_interval: 5000 });
  assertEquals(RETENTION, { keep: 10, max_age: 0 });
});

Deno.test("JSON Schema: strict, without our own words, with the sections given", () => {
  const schema = z.strictObject({ address: z.string() });
  const made = jsonSchema(new Map([["http", { schema, roadrunner: true }]]));
  const text = JSON.stringify(made);
  assertEquals(made.$schema, "https://json-schema.org/draft/2020-12/schema");
  assertEquals(made.additionalProperties, false);
  for (const word of ["default_value", "default_from", '"kind"', '"example"']) {
    assert(!text.includes(word), word);
  }
  const { http, processes } = made.properties as Record<string, KeySchema>;
  assertEquals(http.required, ["address"]);
  assertEquals((processes.additionalProperties as KeySchema).required, ["command"]);
});

Deno.test("the examples of the manual are valid", async () => {
  const manual = fromFileUrl(new URL("../../../docs/configuration.md", import.meta.url));
  const text = Deno.readTextFileSync(manual);
  const blocks = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block]) => block);
  const whole = blocks.filter((block) => block.includes("processes:"));
  assert(whole.length >= 2);
  for (const block of whole) await configOf(block);
});
