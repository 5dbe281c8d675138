/** The access log: one line for each request, none when it is off. */

import { assertEquals } from "@std/assert";
import { until } from "../../../kit/wait.ts";
import { Stage } from "./kit.ts";

const GET = ["GET /orders?id=7 HTTP/1.1", "Host: h"] as const;

Deno.test("a request is told with what went out; streams by the bytes of all parts", async () => {
  await using stage = await Stage.live({ access_logs: true });
  using client = await stage.connect();
  await client.request(...GET, "User-Agent: probe/1", "Referer: http://r/");
  (await stage.pool.next()).reply(201, {}, "12345");
  await client.message();
  await client.request("POST / HTTP/1.1", "Host: h", "Content-Length: 0");
  (await stage.pool.next()).reply(200, {}, "12", true).part("345").part("6", false);
  await client.message();
  await until("both are told", () => stage.events("http_request").length === 2);
  const [first, second] = stage.events("http_request").map(({ ms: _, ...facts }) => facts);
  assertEquals(first, {
    method: "GET",
    target: "/orders?id=7",
    status: 201,
    client: "127.0.0.1",
    bytes: 5,
    user_agent: "probe/1",
    referer: "http://r/",
  });
  assertEquals([second.status, second.bytes, second.user_agent], [200, 6, undefined]);
});

Deno.test("failures and clients that left are told too", async () => {
  await using stage = await Stage.live({ access_logs: true });
  const client = await stage.connect();
  await client.request(...GET);
  (await stage.pool.next()).fail("died");
  assertEquals((await client.message()).status, 502);
  await client.request(...GET);
  await stage.pool.next();
  client.close();
  await until("both are told", () => stage.events("http_request").length === 2);
  assertEquals(stage.events("http_request").map(({ status }) => status), [502, 0]);
});

Deno.test("off: nothing is told", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  (await stage.pool.next()).reply(200);
  await client.message();
  await client.request(...GET);
  (await stage.pool.next()).reply(200);
  await client.message();
  assertEquals(stage.events("http_request"), []);
});

Deno.test("behind a trusted proxy the client is told, not the proxy; outside the middleware", async () => {
  await using stage = await Stage.live({
    access_logs: true,
    middleware: ["headers", "proxy_ip_parser"],
    trusted_subnets: ["127.0.0.0/8"],
    trusted_headers: ["X-Forwarded-For"],
    headers: { request: {}, response: { "X-By": "us" } },
  });
  using client = await stage.connect();
  await client.request(...GET, "X-Forwarded-For: 203.0.113.9");
  const call = await stage.pool.next();
  assertEquals(call.context.remoteAddr, "203.0.113.9");
  call.reply(200);
  assertEquals((await client.message()).get("x-by"), "us");
  await until("it is told", () => stage.events("http_request").length === 1);
  assertEquals(stage.events("http_request")[0].client, "203.0.113.9");
});
