/** Order, metrics, client addresses, and the way to TLS. */

import { assertEquals, assertMatch } from "@std/assert";
import { BodyBroken } from "../../../../../lib/http/mod.ts";
import type { Metrics } from "../../../../../lib/telemetry/metrics.ts";
import { until } from "../../../../kit/wait.ts";
import { answering, mirror, Site } from "./kit.ts";

/** Metrics that write down what is counted. */
function noted(): { metrics: Metrics; notes: string[] } {
  const notes: string[] = [];
  const metrics: Metrics = {
    counter: ({ name }) => ({ add: (by, ...labels) => notes.push(`${name} ${labels} ${by}`) }),
    gauge: () => ({ set() {}, clear() {} }),
    histogram: ({ name }) => ({ observe: (_, ...labels) => notes.push(`${name} ${labels}`) }),
    beforeScrape: () => () => {},
  };
  return { metrics, notes };
}

Deno.test("middleware: the first one listed is the outermost", async () => {
  const headers = { request: {}, response: { "Content-Encoding": "x" } };
  const text = answering("a".repeat(5000));
  // Outside of gzip the field comes too late to keep it from packing.
  await using outside = new Site({ middleware: ["headers", "gzip"], headers }, text);
  await using inside = new Site({ middleware: ["gzip", "headers"], headers }, text);
  const accept = "Accept-Encoding: gzip";
  assertEquals((await outside.ask("GET /", accept)).body.length < 5000, true);
  assertEquals((await inside.ask("GET /", accept)).body.length, 5000);
});

Deno.test("http_metrics: every request once, under its status", async () => {
  const { metrics, notes } = noted();
  let left = false;
  await using one = new Site({ middleware: ["http_metrics"] }, async (exchange) => {
    if (exchange.target === "/broken") throw new BodyBroken("no form", 422);
    if (exchange.target === "/left") {
      const gone = new Promise<void>((resolve) => exchange.onGone = resolve);
      left = true;
      return await gone;
    }
    await answering("x", [], 201)(exchange);
  }, metrics);
  await one.ask("GET /");
  await one.ask("GET /broken");
  const client = await one.connect();
  await client.request("GET /left HTTP/1.1", "Host: x");
  await until("it is there", () => left);
  client.close();
  await until("all are counted", () => notes.length === 6);
  assertEquals(
    notes,
    [201, 422, 499].flatMap((status) => [
      `rr_http_request_total ${status} 1`,
      `rr_http_request_duration_seconds ${status}`,
    ]),
  );
});

const TRUSTED = ["127.0.0.0/8", "10.0.0.0/8"];
const TOLD: [what: string, fields: string[], client: string][] = [
  ["nothing", [], "127.0.0.1"],
  ["one address", ["X-Forwarded-For: 203.0.113.7"], "203.0.113.7"],
  ["proxies in between", ["X-Forwarded-For: 203.0.113.7, 10.1.1.1, 10.2.2.2"], "203.0.113.7"],
  ["what the client made up", ["X-Forwarded-For: 1.1.1.1, 203.0.113.7"], "203.0.113.7"],
  ["several fields", ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 203.0.113.8"], "203.0.113.8"],
  ["only proxies", ["X-Forwarded-For: 10.9.9.9, 10.1.1.1"], "10.9.9.9"],
  ["nonsense", ["X-Forwarded-For: unknown"], "127.0.0.1"],
  ["nonsense before a proxy", ["X-Forwarded-For: unknown, 10.1.1.1"], "10.1.1.1"],
  ["a port", ["X-Forwarded-For: 203.0.113.7:4711"], "203.0.113.7"],
  ["another header", ["X-Real-IP: 203.0.113.9"], "203.0.113.9"],
  ["two headers", ["X-Real-IP: 1.1.1.1", "X-Forwarded-For: 203.0.113.7"], "203.0.113.7"],
  [
    "Forwarded",
    ['Forwarded: by=10.0.0.1;For="[2001:db8::17]:4711";proto=https', "X-Forwarded-For: 1.1.1.1"],
    "2001:db8::17",
  ],
];

for (const [what, fields, client] of TOLD) {
  Deno.test(`proxy_ip_parser: ${what}`, async () => {
    const config = { middleware: ["proxy_ip_parser" as const], trusted_subnets: TRUSTED };
    await using one = new Site(config, mirror);
    assertEquals((await one.ask("GET /", ...fields)).body.split("\n")[1], client);
  });
}

Deno.test("proxy_ip_parser: a peer that nobody trusts is not believed", async () => {
  const config = { middleware: ["proxy_ip_parser" as const], trusted_subnets: ["10.0.0.0/8"] };
  await using one = new Site(config, mirror);
  const answer = await one.ask("GET /", "X-Forwarded-For: 203.0.113.7");
  assertEquals(answer.body.split("\n")[1], "127.0.0.1");
});

Deno.test("ssl.redirect: plain requests are sent to the TLS address, without reaching anything", async () => {
  const ssl = { address: { host: "0.0.0.0", port: 443 }, redirect: true, cert: "", key: "" };
  const never = () => {
    throw new Error("a plain request got through");
  };
  await using one = new Site({ ssl }, never);
  const answer = await one.ask("POST /a/b?c=d", "Content-Length: 0");
  assertEquals([answer.status, answer.get("location")], [308, "https://example.com/a/b?c=d"]);
  assertEquals(answer.get("strict-transport-security"), undefined);
  assertEquals((await one.ask("OPTIONS *")).status, 400);

  await using other = new Site({ ssl: { ...ssl, address: { host: "", port: 8443 } } }, never);
  using client = await other.connect();
  await client.request("GET / HTTP/1.1", "Host: [::1]:8080");
  assertEquals((await client.message()).get("location"), "https://[::1]:8443/");
});

Deno.test("ssl.redirect: over TLS browsers are told to stay there", async () => {
  const ssl = { address: { host: "", port: 443 }, redirect: true, cert: "", key: "" };
  await using one = new Site({ ssl }, answering("x"), undefined, true);
  assertMatch((await one.ask("GET /")).get("strict-transport-security")!, /^max-age=\d+$/);
});
