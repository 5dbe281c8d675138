/** Requests to workers and their answers, on a real connection with a pool that the test answers for. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { until } from "../../../kit/wait.ts";
import { Stage } from "./kit.ts";

const GET = ["GET /orders?id=7 HTTP/1.1", "Host: h"] as const;

Deno.test("a request becomes a context, an answer becomes an answer", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET, "Accept: text/html");
  const call = await stage.pool.next();
  assertEquals(call.request.what, "GET /orders");
  assertEquals([call.request.flags, call.body], [0x08, ""]);
  assertEquals(call.context.uri, "http://h/orders?id=7");
  assertEquals(call.context.headers, { Accept: ["text/html"] });
  call.reply(201, { "X-A": ["1", "2"], "Content-Type": "text/plain", "X-U": "ü" }, "done");
  const answer = await client.message();
  assertEquals([answer.line, answer.body], ["HTTP/1.1 201 Created", "done"]);
  const names = ["X-A", "X-A", "Content-Type", "X-U", "Date", "Content-Length"];
  assertEquals(answer.fields.map(([name]) => name), names);
  assertEquals(answer.fields[3][1], "\xc3\xbc");
  assertEquals(answer.get("content-length"), "4");
  // The connection goes on.
  await client.request(...GET);
  (await stage.pool.next()).raw(`{"status":204,"headers":[]}`);
  assertEquals((await client.message()).line, "HTTP/1.1 204 No Content");
});

Deno.test("protobuf, where it is configured", async () => {
  await using stage = await Stage.live({ encoding: "protobuf" });
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  assertEquals([call.request.flags, call.request.context[0]], [0x80, 0x0a]);
  const head = new BinaryWriter();
  head.tag(9, WireType.Varint).uint32(1); // Unknown fields are skipped.
  head.tag(1, WireType.Varint).int64(203);
  head.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string("X-A")
    .tag(2, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).bytes(
      new Uint8Array([0x61, 0xff]),
    ).tag(1, WireType.LengthDelimited).string("b").join().join();
  call.raw(head.finish(), "OK", false, 0x80);
  const answer = await client.message();
  assertEquals([answer.status, answer.body], [203, "OK"]);
  assertEquals(answer.fields.slice(0, 2), [["X-A", "a\xff"], ["X-A", "b"]]);
});

Deno.test("a raw body comes whole, however it is sent", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const large = "0123456789".repeat(30_000);
  await client.request("POST / HTTP/1.1", "Host: h", `Content-Length: ${large.length}`);
  await client.send(large);
  const call = await stage.pool.next();
  assertEquals([call.context.parsed, call.body === large], [false, true]);
  call.reply(200, {}, large);
  assertEquals((await client.message()).body === large, true);
  await client.request("PUT / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked");
  await client.send("3\r\nabc\r\n");
  await client.send("2\r\nde\r\n0\r\n\r\n");
  const chunked = await stage.pool.next();
  assertEquals(chunked.body, "abcde");
  chunked.reply(200);
  assertEquals((await client.message()).status, 200);
});

Deno.test("forms are trees, empty ones too; raw_body keeps them as they are", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const post = async (method: string, body: string) => {
    const type = "Content-Type: application/x-www-form-urlencoded";
    await client.request(`${method} / HTTP/1.1`, "Host: h", type, `Content-Length: ${body.length}`);
    await client.send(body);
    const call = await stage.pool.next();
    call.reply(200);
    await client.message(method);
    return [call.context.parsed, call.body, call.context.uploads];
  };
  assertEquals(await post("POST", "a[]=1&a[]=2&k=v"), [true, `{"a":["1","2"],"k":"v"}`, null]);
  assertEquals(await post("DELETE", "x=1"), [true, `{"x":"1"}`, null]);
  assertEquals(await post("GET", ""), [true, "{}", null]);
  assertEquals(await post("HEAD", ""), [false, "", null]);
  await using raw = await Stage.live({ raw_body: true });
  using other = await raw.connect();
  const type = "Content-Type: application/x-www-form-urlencoded";
  await other.request("POST / HTTP/1.1", "Host: h", type, "Content-Length: 5");
  await other.send("a=%41");
  const call = await raw.pool.next();
  assertEquals([call.context.parsed, call.body], [false, "a=%41"]);
});

Deno.test("an uploaded file is there while the worker works, and gone after it", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await using stage = await Stage.live({ uploads: { dir, forbid: [], allow: [] } });
    using client = await stage.connect();
    const body = [
      "--B",
      'Content-Disposition: form-data; name="f"; filename="a.txt"',
      "Content-Type: text/plain",
      "",
      "hello",
      "--B--",
      "",
    ].join("\r\n");
    const head = [
      "POST / HTTP/1.1",
      "Host: h",
      "Content-Type: multipart/form-data; boundary=B",
      `Content-Length: ${body.length}`,
    ];
    await client.request(head[0], ...head.slice(1));
    await client.send(body);
    const call = await stage.pool.next();
    const { f } = call.context.uploads;
    assertEquals([f.name, f.mime, f.size, f.error], ["a.txt", "text/plain", 5, 0]);
    assertEquals(Deno.readTextFileSync(f.tmpName), "hello");
    call.reply(200);
    await client.message();
    await until("the file is removed", () => [...Deno.readDirSync(dir)].length === 0);
    // A client that leaves takes nothing away from the worker.
    using hasty = await stage.connect();
    await hasty.request(head[0], ...head.slice(1));
    await hasty.send(body);
    const second = await stage.pool.next();
    const other = await stage.connect();
    await other.request(...GET);
    const plain = await stage.pool.next();
    hasty.close();
    other.close();
    await until("the clients are missed", () => plain.cancelled);
    await client.request(...GET);
    (await stage.pool.next()).reply(200);
    await client.message();
    assertEquals(second.cancelled, false);
    assertEquals(Deno.readTextFileSync(second.context.uploads.f.tmpName), "hello");
    second.reply(200);
    await until("the file is removed", () => [...Deno.readDirSync(dir)].length === 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Expect: 100-continue is answered when the body is wanted", async () => {
  await using stage = await Stage.live({ max_request_size: 10 });
  using client = await stage.connect();
  const ask = (size: number) =>
    client.request(
      "POST / HTTP/1.1",
      "Host: h",
      "Expect: 100-continue",
      `Content-Length: ${size}`,
    );
  await ask(3);
  assertEquals((await client.head()).status, 100);
  await client.send("abc");
  (await stage.pool.next()).reply(200);
  assertEquals((await client.message()).status, 200);
  await ask(11);
  assertEquals((await client.message()).status, 413);
});

Deno.test("a body beyond max_request_size is refused in RoadRunner's words", async () => {
  await using stage = await Stage.live({ max_request_size: 10 });
  for (const framing of ["Content-Length: 11", "Transfer-Encoding: chunked"]) {
    using client = await stage.connect();
    await client.request("POST / HTTP/1.1", "Host: h", framing);
    await client.send(framing.includes("chunked") ? "b\r\n01234567890\r\n" : "01234567890");
    const answer = await client.message();
    assertEquals([answer.status, answer.body], [
      413,
      "serve_http: http: request body too large\n",
    ]);
  }
  assertEquals(stage.pool.calls.length, 0);
});

Deno.test("a client that leaves in mid-upload costs no worker", async () => {
  await using stage = await Stage.live();
  {
    using client = await stage.connect();
    await client.request("POST / HTTP/1.1", "Host: h", "Content-Length: 10");
    await client.send("half");
  }
  using other = await stage.connect();
  await other.request(...GET);
  (await stage.pool.next()).reply(200);
  await other.message();
  assertEquals(stage.pool.calls.length, 1);
  assertEquals(stage.intake.gate.held, 0);
});

Deno.test("a stream is passed on part by part; the worker is asked for the next when one is out", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  call.reply(200, { "Content-Type": "text/event-stream" }, "", true);
  const head = await client.head();
  assertEquals(head.get("transfer-encoding"), "chunked");
  for (const text of ["one", "two"]) {
    call.part(text);
    assertEquals(await client.until(`${text}\r\n`), `3\r\n${text}\r\n`);
  }
  call.part("", true).part("last", false, `{"status":500,"headers":{}}`);
  assertStringIncludes(await client.until("0\r\n\r\n"), "last");
  await client.request(...GET);
  (await stage.pool.next()).reply(200, {}, "next");
  assertEquals((await client.message()).body, "next");
});

Deno.test("a client that does not read stops the stream of its worker", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  const parts = 400;
  const part = new Uint8Array(100_000).fill(0x78);
  call.reply(200, {}, part, true);
  for (let i = 1; i < parts; i++) call.part(part, i < parts - 1);
  await client.head();
  // What would be read ahead of the client would be so before another client's whole request is done.
  using other = await stage.connect();
  await other.request(...GET);
  (await stage.pool.next()).reply(200);
  await other.message();
  assert(call.taken < parts / 2, `${call.taken} parts were taken`);
  client.close();
  await call.stopped;
});

Deno.test("a client that leaves ends the stream", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  call.reply(200, {}, "begun", true);
  await client.until("begun");
  client.close();
  await call.stopped;
  await until("the lease is back", () => stage.intake.gate.held === 0);
  assertEquals(stage.events("request_failed"), []);
});

Deno.test("a client that leaves in the queue leaves the queue", async () => {
  await using stage = await Stage.live();
  const client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  client.close();
  await until("the call is cancelled", () => call.cancelled);
  await until("the lease is back", () => stage.intake.gate.held === 0);
  assertEquals(stage.events("request_failed"), []);
});

Deno.test("interim answers have their own fields alone; 101 is none", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  call.reply(103, { Link: ["</a.css>; rel=preload"] }, "", true);
  call.part("", true, `{"status":101,"headers":{"X-No":["1"]}}`);
  call.part("done", false, `{"status":200,"headers":{"X-A":["1"]}}`);
  const hint = await client.head();
  assertEquals([hint.line, hint.fields], ["HTTP/1.1 103 Early Hints", [[
    "Link",
    "</a.css>; rel=preload",
  ]]]);
  const answer = await client.message();
  assertEquals([answer.status, answer.body, answer.get("link")], [200, "done", undefined]);
  await client.request(...GET);
  (await stage.pool.next()).reply(103, {}, "");
  assertEquals((await client.head()).status, 103);
  assertEquals((await client.message()).status, 502);
  await client.request(...GET);
  const talker = await stage.pool.next();
  talker.reply(103, {}, "", true);
  for (let i = 0; i < 40; i++) talker.part("", true, `{"status":103,"headers":{}}`);
  for (let i = 0; i < 33; i++) assertEquals((await client.head()).status, 103);
  assertEquals((await client.message()).status, 502);
  await talker.stopped;
});

Deno.test("trailers are sent behind the body, and announced", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  for (const streamed of [false, true]) {
    await client.request(...GET);
    const call = await stage.pool.next();
    const headers = { Trailer: "X-Sum, X-None", "X-Sum": ["42"], "Content-Length": "4" };
    call.reply(200, headers, "body", streamed);
    if (streamed) call.part("more", false);
    const answer = await client.message();
    assertEquals(answer.body, streamed ? "bodymore" : "body");
    assertEquals(answer.trailers, [["X-Sum", "42"]]);
    assertEquals([answer.get("x-sum"), answer.get("trailer")], [undefined, "X-Sum, X-None"]);
  }
});

Deno.test("framing is ours: a worker's wrong length and connection fields do nothing", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  for (const length of ["3", ["3", "9"], "x", "-1", "4"]) {
    await client.request(...GET);
    (await stage.pool.next()).reply(200, {
      "content-length": length,
      "Transfer-Encoding": "chunked",
      "Connection": "close",
      "Keep-Alive": "1",
      "Upgrade": "h2c",
    }, "four");
    const answer = await client.message();
    assertEquals([answer.body, answer.fields.length], ["four", 3], JSON.stringify(length));
  }
  await client.request("HEAD / HTTP/1.1", "Host: h");
  (await stage.pool.next()).reply(200, { "Content-Length": "123" });
  assertEquals((await client.message("HEAD")).get("content-length"), "123");
  await client.request("HEAD / HTTP/1.1", "Host: h");
  const stream = await stage.pool.next();
  stream.reply(200, {}, "not sent", true);
  assertEquals((await client.message("HEAD")).status, 200);
  await stream.stopped;
  assertEquals(stage.events("request_failed"), []);
});

Deno.test("a stream of announced length has that length, or is cut", async () => {
  await using stage = await Stage.live();
  for (const [sent, right] of [["56", true], ["567", false], ["5", false]] as const) {
    using client = await stage.connect();
    await client.request(...GET);
    const call = await stage.pool.next();
    call.reply(200, { "Content-Length": "6" }, "1234", true).part(sent).part("", false);
    const head = await client.head();
    assertEquals([head.get("content-length"), head.get("transfer-encoding")], ["6", undefined]);
    if (right) assertEquals(await client.bytes(6), "123456");
    else assertEquals((await client.rest()).length < 6, true);
  }
  assertEquals(stage.events("request_failed").map(({ status, kind }) => [status, kind]), [
    [null, "broken"],
    [null, "broken"],
  ]);
});

Deno.test("a body without a type gets one by its first bytes; Date is ours unless it is the worker's", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  const type = async (body: string | Uint8Array, headers = {}) => {
    await client.request(...GET);
    (await stage.pool.next()).reply(200, headers, body);
    const answer = await client.message();
    assertMatch(answer.get("date") ?? "", /GMT$/);
    return answer.get("content-type");
  };
  assertEquals(await type("  <!doctype html><p>"), "text/html; charset=utf-8");
  assertEquals(await type("<p>x"), "text/html; charset=utf-8");
  assertEquals(await type("<pre"), "text/plain; charset=utf-8");
  assertEquals(await type("<?xml version"), "text/xml; charset=utf-8");
  assertEquals(await type(`{"a":1}`), "text/plain; charset=utf-8");
  assertEquals(await type("\x00\x01"), "application/octet-stream");
  assertEquals(await type(new Uint8Array([0x89, 80, 78, 71, 13, 10, 26, 10])), "image/png");
  assertEquals(await type("RIFF....WEBPVP8"), "image/webp");
  assertEquals(await type("x", { "content-encoding": "br" }), undefined);
  assertEquals(await type("x", { "content-type": "a/b", date: "x GMT" }), "a/b");
  assertEquals(await type(""), undefined);
});

Deno.test("clients of HTTP/1.0 get no chunks", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request("GET / HTTP/1.0");
  const call = await stage.pool.next();
  assertEquals(call.context.uri, "http://localhost/");
  call.reply(200, {}, "one", true).part("two", false);
  const answer = await client.message();
  assertEquals([answer.get("transfer-encoding"), answer.body], [undefined, "onetwo"]);
});
