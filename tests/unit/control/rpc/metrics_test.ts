/** The methods of `metrics` and `app`, by which an application reports; called by PHP. */

import { assertEquals } from "@std/assert";
import type { PhpCall } from "../../../kit/php_rpc.ts";
import { FakeHost, field, made } from "./kit.ts";

Deno.test("metrics: declare, fill, take back", async () => {
  const collector = {
    namespace: "shop",
    subsystem: "cart",
    type: "histogram",
    help: "h",
    labels: ["type"],
    buckets: [0.1, 5],
    objectives: { "0.5": 0.05 },
  };
  const [replies, asked] = await made([
    ["metrics.Declare", { json: { name: "orders", collector } }],
    ["metrics.Declare", { json: { name: "orders", collector: { type: "counter" } } }],
    [
      "metrics.Declare",
      { json: { name: "b", collector: { type: "gauge", labels: [], objectives: [] } } },
    ],
    ["metrics.Add", { json: { name: "orders", value: 2.5, labels: ["a"] } }],
    ["metrics.Sub", { json: { name: "orders", value: 1, labels: [] } }],
    ["metrics.Observe", { json: { name: "orders", value: 1 } }],
    ["metrics.Set", { json: { name: "orders", value: -1, labels: null } }],
    ["metrics.Set", { json: { name: "nope", value: 1, labels: [] } }],
    ["metrics.Unregister", { json: "orders" }],
    ["metrics.Unregister", { json: "nope" }],
  ]);
  const nope = { error: "undefined collector: nope" };
  const yes = { json: true };
  assertEquals(replies, [yes, yes, yes, yes, yes, yes, yes, nope, yes, nope]);
  const none = '"help":"","namespace":"","subsystem":"","labels":[],"buckets":[],"objectives":{}';
  assertEquals(asked, [
    'declare orders {"type":"histogram","help":"h","namespace":"shop","subsystem":"cart",' +
    '"labels":["type"],"buckets":[0.1,5],"objectives":{"0.5":0.05}}',
    `declare orders {"type":"counter",${none}}`,
    'log ["debug","the collector \\"orders\\" is declared already",{}]',
    `declare b {"type":"gauge",${none}}`,
    'add ["orders",2.5,["a"]]',
    'sub ["orders",1,[]]',
    'observe ["orders",1,[]]',
    'set ["orders",-1,[]]',
    'set ["nope",1,[]]',
    'unregister ["orders"]',
    'unregister ["nope"]',
  ]);
});

Deno.test("metrics: wrong arguments, and metrics that are off", async () => {
  const declared = (collector: unknown): PhpCall => [
    "metrics.Declare",
    { json: { name: "a", collector } },
  ];
  const [replies, asked] = await made([
    ["metrics.Add", { json: null }],
    ["metrics.Add", { json: { value: 1 } }],
    ["metrics.Add", { json: { name: "a", value: "1" } }],
    ["metrics.Add", { json: { name: "a", value: 1, labels: [1] } }],
    declared(null),
    declared({ type: "timer" }),
    declared({ type: "gauge", help: 1 }),
    declared({ type: "gauge", labels: "a" }),
    declared({ type: "histogram", buckets: ["1"] }),
    declared({ type: "summary", objectives: { "0.5": "x" } }),
    ["metrics.Declare", { json: { collector: { type: "gauge" } } }],
  ]);
  assertEquals(replies.map(({ error }) => error), [
    "the argument must be an object",
    '"name" must be a string',
    '"value" must be a number',
    '"labels" must be a list of strings',
    '"collector" must be an object',
    '"type" must be one of histogram, gauge, counter, summary',
    '"help" must be a string',
    '"labels" must be a list of strings',
    '"buckets" must be a list of numbers',
    '"objectives" must be an object of numbers',
    '"name" must be a string',
  ]);
  assertEquals(asked, []);
  const host = new FakeHost();
  host.metrics = undefined;
  const [[off]] = await made([["metrics.Add", { json: { name: "a", value: 1 } }]], host);
  const text = 'metrics are off: there is no section "metrics" in the configuration';
  assertEquals(off, { error: text });
});

Deno.test("app: lines of the application, with and without context", async () => {
  const levels = [["Error", "error"], ["Info", "info"], ["Warning", "warn"], ["Debug", "debug"]];
  const both = [...levels, ["Log", "plain"]];
  const attribute = field(1, "k") + field(2, "é");
  const entry = `${field(1, "hello")}12${(attribute.length / 2).toString(16).padStart(2, "0")}`;
  const [replies, asked] = await made([
    ...both.map(([method]): PhpCall => [`app.${method}`, { json: "line\n" }]),
    ...both.map(([method]): PhpCall => [`app.${method}WithContext`, { hex: entry + attribute }]),
    ["app.InfoWithContext", { json: { message: "m", log_attrs: [{ key: "a", value: "b" }] } }],
    ["app.Info", { json: { message: "m" } }],
  ]);
  assertEquals(replies, [
    ...Array(5).fill({ json: false }),
    ...Array(5).fill({ hex: "" }),
    { json: [] },
    { error: "the argument must be the line, a string" },
  ]);
  assertEquals(asked, [
    ...both.map(([, level]) => `log ["${level}","line\\n",{}]`),
    ...both.map(([, level]) => `log ["${level}","hello",{"k":"é"}]`),
    'log ["info","m",{"a":"b"}]',
  ]);
});
