/** What is made from the schema is in step with it, and says what the code does. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { z } from "zod";
import * as defaults from "../../../lib/config/defaults.ts";
import { describeSchema, type KeySchema } from "../../../lib/config/json_schema.ts";
import { jsonSchema } from "../../../lib/config/mod.ts";
import { fileSchema } from "../../../lib/config/schema/file.ts";
import { parseDuration } from "../../../lib/core/duration.ts";
import { parseSize } from "../../../lib/core/size.ts";
import { generated } from "../../../scripts/schema.ts";
import { configOf } from "./kit.ts";

Deno.test("schema file and manual are in step with the schema", () => {
  for (const { file, text } of generated()) {
    assert(Deno.readTextFileSync(file) === text, `${file} is out of step: run deno task schema`);
  }
});

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
  // Words of a command and names of included files need no description of their own.
  assertEquals(missing.filter((path) => !/\.(?:command|include)\[\]$/.test(path)), []);
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
  let checked = 0;
  const visit = (node: KeySchema, value: unknown, path: string) => {
    const map = node.properties ?? node.anyOf?.find((one) => one.properties)?.properties;
    for (const [key, next] of Object.entries(map ?? {})) {
      visit(next, (value as Record<string, unknown> | undefined)?.[key], `${path}.${key}`);
    }
    if (typeof node.additionalProperties === "object") {
      visit(node.additionalProperties, value, path);
    }
    const told = node.default_value;
    if (told === undefined) return;
    const read = node.kind === "duration"
      ? parseDuration(String(told))
      : node.kind === "size"
      ? parseSize(String(told))
      : told;
    assertEquals(read, value, path);
    checked++;
  };
  visit(describeSchema(fileSchema), values, "");
  assert(checked >= 30, `${checked} defaults`);
});

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
