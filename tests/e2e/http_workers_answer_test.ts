/** What clients see of workers' answers: status, fields, bodies, hints, trailers; and what not. */

import { assertEquals, assertMatch } from "@std/assert";
import { ask, httpTest, route, sendRequest } from "../kit/http_workers.ts";
import { fixture } from "../kit/programs.ts";
import type { RawMessage } from "../kit/raw_http.ts";
import { until } from "../kit/wait.ts";

/** Values of a field, all of them. */
function valuesOf({ fields }: RawMessage, name: string): string[] {
  return fields.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
}

httpTest("status, fields that stand there twice, bodies of every size", {}, async (site) => {
  using client = await site.connect();
  for (const code of [200, 201, 204, 304, 404, 418, 500, 599]) {
    const answer = await ask(client, `GET ${route("/status", { code })}`);
    assertEquals(answer.status, code);
    const empty = code === 204 || code === 304;
    assertEquals(answer.body, empty ? "" : `status ${code}`);
    if (empty) assertEquals(answer.get("transfer-encoding"), undefined);
  }
  const headers = await ask(client, "GET /headers");
  assertEquals(valuesOf(headers, "x-a"), ["1", "2"]);
  assertEquals(valuesOf(headers, "set-cookie"), ["a=1; Path=/", "b=2; HttpOnly"]);
  for (const bytes of [0, 1, 65_536, 65_537, 5_000_000]) {
    assertEquals((await ask(client, `GET /body?bytes=${bytes}`)).body.length, bytes);
  }
  assertEquals(client.unread, "");
});

httpTest("HEAD: the head of GET, and the connection goes on", {}, async (site) => {
  using client = await site.connect();
  for (const path of ["/body?bytes=100000", "/stream?n=50", "/trailers", "/status?code=404"]) {
    const head = await ask(client, `HEAD ${path}`);
    assertEquals([head.status, head.body], [path.includes("404") ? 404 : 200, ""]);
  }
  assertEquals((await ask(client, "HEAD /body?bytes=1234")).get("content-length"), "1234");
  assertEquals((await ask(client, "GET /")).body, "ok");
  assertEquals(client.unread, "");
});

httpTest("hints before the answer, good or bad; trailers behind it", {}, async (site) => {
  using client = await site.connect();
  for (const code of [200, 404]) {
    await sendRequest(client, `GET /hints?code=${code}`);
    const hint = await client.head();
    assertEquals([hint.status, hint.fields], [103, [["Link", "</a.css>; rel=preload"]]]);
    const answer = await client.message();
    assertEquals([answer.status, answer.body, answer.get("link")], [code, "hinted", undefined]);
  }
  const trailers = await ask(client, "GET /trailers", ["TE: trailers"]);
  assertEquals([trailers.body, trailers.trailers], ["with trailers", [["X-Sum", "42"]]]);
  assertEquals(trailers.get("x-sum"), undefined);
  // To HTTP/1.0 neither can be said.
  using old = await site.connect();
  await old.request("GET /hints HTTP/1.0");
  const answer = await old.message();
  assertEquals([answer.status, answer.body], [200, "hinted"]);
});

const INJECTIONS: [name: string, value: string][] = [
  ["X", "a\r\nSet-Cookie: stolen=1"],
  ["X", "a\nSet-Cookie: stolen=1"],
  ["X", "a\rSet-Cookie: stolen=1"],
  ["X", "a\r\n\r\n<script>"],
  ["X\r\nSet-Cookie", "stolen=1"],
  ["X: a\r\nSet-Cookie", "stolen=1"],
  ["X Y", "a"],
  ["X\0", "a"],
  ["X", "a\0b"],
  ["", "a"],
];

httpTest("a worker cannot write what is not a field", {}, async (site) => {
  using client = await site.connect();
  for (const [name, value] of INJECTIONS) {
    const answer = await ask(client, `GET ${route("/header", { name, value })}`);
    assertEquals([answer.status, answer.get("set-cookie")], [502, undefined], name + value);
    assertEquals(/stolen|script/.test(answer.body), false);
  }
  // One answer each, and nothing behind it.
  assertEquals((await ask(client, "GET /")).body, "ok");
  assertEquals(client.unread, "");
});

httpTest("framing and connection are not the worker's", {}, async (site) => {
  using client = await site.connect();
  const own: [string, string][] = [
    ["Transfer-Encoding", "chunked"],
    ["Connection", "close"],
    ["Content-Length", "3"],
    ["content-length", "1000"],
    ["Keep-Alive", "timeout=1"],
    ["Upgrade", "websocket"],
  ];
  for (const [name, value] of own) {
    const answer = await ask(client, `GET ${route("/header", { name, value })}`);
    assertEquals([answer.status, answer.body], [200, "header"], name);
    assertEquals(answer.get("content-length"), "6", name);
  }
});

const HEADS = [
  '{"status":99}',
  '{"status":600}',
  '{"status":0}',
  '{"status":-200}',
  '{"status":"200"}',
  '{"status":200.5}',
  '{"status":null}',
  "{}",
  "[]",
  "null",
  "200",
  "{",
  '{"status":200,"headers":"X: a"}',
  '{"status":200,"headers":{"X":[["a"]]}}',
];

httpTest("heads that are none: 502, the reason is told, the worker goes on", {}, async (site) => {
  using client = await site.connect();
  const pid = (await ask(client, "GET /pid")).body;
  for (const json of HEADS) {
    const answer = await ask(client, `GET ${route("/head", { json })}`);
    assertEquals(answer.status, 502, json);
  }
  assertEquals((await ask(client, "GET /pid")).body, pid);
  const told = await site.told("request_failed");
  assertEquals(told.map(({ kind, status }) => `${kind} ${status}`), HEADS.map(() => "broken 502"));
  assertEquals(told[0].error, "unknown status code from worker: 99");
});

httpTest("workers that answer in protobuf to JSON", {
  server: {
    command: ["php", fixture("php/http_proto_worker.php")],
  },
}, async (site) => {
  using client = await site.connect();
  assertEquals((await ask(client, "GET /status?code=201")).status, 201);
  assertEquals(valuesOf(await ask(client, "GET /headers"), "set-cookie").length, 2);
  const injected = await ask(client, `GET ${route("/header", { name: "X", value: "a\r\nB: c" })}`);
  assertEquals(injected.status, 502);
  assertEquals((await ask(client, "GET /stream?n=3")).body, "chunk 1\nchunk 2\nchunk 3\n");
});

httpTest("the access log: who asked for what, how it ended", {
  http: { access_logs: true, middleware: ["proxy_ip_parser"], trusted_subnets: ["127.0.0.0/8"] },
}, async (site) => {
  const fields = ["X-Real-IP: 203.0.113.7", 'User-Agent: a\\b"c', "Referer: http://r.example/"];
  await site.ask("GET /body?bytes=123456", fields);
  await site.ask("GET /exit");
  const lines = await until("two lines", () => {
    const all = site.daemon.output().split("\n").filter((line) => line.includes("http_request"));
    return all.length === 2 ? all : undefined;
  });
  const [first, second] = lines.map((line) => JSON.parse(line).data);
  assertEquals(
    [first.method, first.target, first.status, first.client, first.bytes],
    ["GET", "/body?bytes=123456", 200, "203.0.113.7", 123_456],
  );
  assertEquals([first.user_agent, first.referer], ['a\\b"c', "http://r.example/"]);
  assertEquals([second.status, second.target], [502, "/exit"]);
  assertMatch(JSON.stringify(first.ms), /^\d/);
});
