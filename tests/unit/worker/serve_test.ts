/** HTTP workers on the kit: requests as `Request`, answers as `Response`, streams, errors. */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { assertEquals, assertMatch } from "@std/assert";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { frame, get, hex, type Received, request, RUNTIMES, Worker } from "./kit.ts";

const STREAM = 0x01;
const PING = 0x04;
const STOP = "13 00 00 00 00 00 96 d1 80 34 02 00";
const PONG = "13 00 00 00 00 00 96 d1 80 34 08 00";

/** A request in protobuf: protocol chapter 13.9. */
const PROTO_REQUEST = hex(`
  0a 09 31 32 37 2e 30 2e 30 2e 31 12 08 48 54 54 50 2f 31 2e 31 1a 03 47 45 54
  22 15 68 74 74 70 3a 2f 2f 6c 6f 63 61 6c 68 6f 73 74 2f 3f 61 3d 31
  2a 13 0a 04 48 6f 73 74 12 0b 0a 09 6c 6f 63 61 6c 68 6f 73 74 3a 03 61 3d 31`);

/** One with everything, and with fields that nobody knows. */
function protoEcho(): Uint8Array {
  const message = new BinaryWriter().tag(99, WireType.Bit32).fixed32(1).tag(98, WireType.Bit64)
    .fixed64(1).tag(97, WireType.Varint).uint32(300);
  const text = (number: number, value: string) =>
    message.tag(number, WireType.LengthDelimited).string(value);
  const entry = (number: number, name: string, ...values: (string | Uint8Array)[]) => {
    message.tag(number, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited)
      .string(name).tag(2, WireType.LengthDelimited).fork();
    for (const value of values) {
      const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
      message.tag(1, WireType.LengthDelimited).bytes(bytes);
    }
    message.join().join();
  };
  text(1, "192.0.2.7");
  text(2, "HTTP/1.0");
  text(3, "POST");
  text(4, "http://localhost/echo");
  entry(5, "Content-Type", "application/x-www-form-urlencoded");
  entry(5, "X-Two", "1", new Uint8Array([0xff]));
  entry(6, "sid", "a b");
  entry(6, "__proto__x", "1", "2");
  message.tag(8, WireType.Varint).bool(true);
  text(9, '{"f":{"name":"a","tmpName":"/tmp/a"}}');
  entry(10, "user", "7");
  return message.finish();
}

async function ready(runtime: "deno" | "node", env = {}): Promise<Worker> {
  const worker = await Worker.start("http", { runtime, env });
  await worker.hello();
  return worker;
}

/** All frames of an answer. */
async function framesOf(worker: Worker): Promise<Received[]> {
  const frames = [await worker.frame()];
  while (frames.at(-1)!.bits & STREAM) frames.push(await worker.frame());
  return frames;
}

for (const runtime of RUNTIMES) {
  Deno.test(`${runtime}: a request is what the supervisor says`, async () => {
    await using worker = await ready(runtime);
    const told = {
      method: "PUT",
      uri: "https://example.org:8443/echo?a=1&b",
      remoteAddr: "192.0.2.7",
      protocol: "HTTP/2.0",
      headers: { "Content-Type": ["text/plain"], "X-Two": ["1", "2"], "X-Name": ["Müller"] },
      cookies: { sid: "a b" },
      rawQuery: "a=1&b",
      attributes: { user: ["7"] },
    };
    const { context, body } = await worker.ask(get("", told, "héllo"));
    assertEquals(JSON.parse(context), {
      status: 200,
      headers: { "content-type": ["application/json"] },
    });
    assertEquals(JSON.parse(body), {
      method: "PUT",
      url: "https://example.org:8443/echo?a=1&b",
      body: "héllo",
      headers: [
        ["content-type", "text/plain"],
        ["host", "example.org:8443"],
        ["x-name", "M\xc3\xbcller"],
        ["x-two", "1, 2"],
      ],
      context: {
        remoteAddr: "192.0.2.7",
        protocol: "HTTP/2.0",
        cookies: { sid: "a b" },
        rawQuery: "a=1&b",
        parsed: false,
        uploads: null,
        attributes: { user: ["7"] },
        body: 6,
        fields: null,
      },
    });
  });

  Deno.test(`${runtime}: requests that Request cannot hold`, async () => {
    await using worker = await ready(runtime);
    const nulls = { headers: null, cookies: null, uploads: null, attributes: null };
    const ofGet = JSON.parse((await worker.ask(get("/echo", nulls, "body"))).body);
    assertEquals([ofGet.body, ofGet.context.body], ["", 4]);

    const hostless = await worker.ask(get("", { uri: "http:///echo" }));
    assertEquals(JSON.parse(hostless.body).url, "http://localhost/echo");

    const trace = await worker.ask(get("/hello", { method: "TRACE" }));
    assertEquals(JSON.parse(trace.context).status, 405);

    const port = await worker.ask(get("", { uri: "http://localhost:99999/hello" }));
    assertEquals(port.flags, 0x40);
    assertEquals((await worker.ask(get("/hello"))).body, "OK");
  });

  Deno.test(`${runtime}: protobuf is answered in protobuf`, async () => {
    await using worker = await ready(runtime);
    const { hex: sent } = await worker.ask(request(0x80, PROTO_REQUEST));
    // As in the reference, but that Headers has names in lower case.
    assertEquals(
      sent,
      "14 80 11 00 00 00 46 61 c6 70 00 00 0f 00 00 00 " +
        "08 c8 01 12 0a 0a 03 78 2d 61 12 03 0a 01 31 4f 4b",
    );
    const { flags, body } = await worker.ask(request(0x80, protoEcho(), '{"a":"b"}'));
    const echo = JSON.parse(body);
    assertEquals([flags, echo.method, echo.body, echo.headers], [0x80, "POST", "a=b", [
      ["content-type", "application/x-www-form-urlencoded"],
      ["host", "localhost"],
      ["x-two", "1, \xff"],
    ]]);
    assertEquals(echo.context, {
      remoteAddr: "192.0.2.7",
      protocol: "HTTP/1.0",
      cookies: { sid: "a b", __proto__x: "1,2" },
      rawQuery: "",
      parsed: true,
      uploads: { f: { name: "a", tmpName: "/tmp/a" } },
      attributes: { user: ["7"] },
      body: 9,
      fields: { a: "b" },
    });
  });

  Deno.test(`${runtime}: headers of an answer, no body`, async () => {
    await using worker = await ready(runtime);
    const { context, options, body } = await worker.ask(get("/headers"));
    assertEquals(JSON.parse(context), {
      status: 204,
      headers: { "set-cookie": ["a=1", "b=2"], "x-name": ["Müller"] },
    });
    assertEquals([options[0], body], [new TextEncoder().encode(context).length, ""]);
    assertEquals((await worker.ask(get("/hello", { method: "HEAD" }))).body, "");
  });

  Deno.test(`${runtime}: forms are FormData, files come from where they were put`, async () => {
    await using worker = await ready(runtime);
    using scratch = new Scratch();
    const tmpName = scratch.write("upload1", "content");
    const upload = { name: "a.txt", mime: "text/plain", size: 7, error: 0, tmpName };
    const refused = { ...upload, error: 8, tmpName: "", size: 0 };
    const none = { name: "", mime: "application/octet-stream", size: 0, error: 4, tmpName: "" };
    const multipart = {
      method: "POST",
      headers: { "Content-Type": ["multipart/form-data; boundary=x"] },
      parsed: true,
      uploads: { files: [upload, refused], doc: { cover: none } },
    };
    const fields = '{"name":"v","list":["1","2"],"deep":{"a":{"b":"c"}}}';
    const { body } = await worker.ask(get("/form", multipart, fields));
    assertEquals(JSON.parse(body), [
      ["name", "v"],
      ["list[]", "1"],
      ["list[]", "2"],
      ["deep[a][b]", "c"],
      ["files[]", "a.txt", "text/plain", "content"],
      ["doc[cover]", "", "application/octet-stream", ""],
    ]);

    const type = { "Content-Type": ["application/x-www-form-urlencoded"] };
    const encoded = { method: "POST", headers: type, parsed: true };
    const form = await worker.ask(get("/form", encoded, '{"a b":"ü&","l":["1","2"]}'));
    assertEquals(JSON.parse(form.body), [["a b", "ü&"], ["l[]", "1"], ["l[]", "2"]]);
    assertEquals((await worker.ask(get("/form", encoded))).body, "[]");
    const text = await worker.ask(get("/echo", encoded, '{"a b":"1"}'));
    assertEquals([JSON.parse(text.body).body, JSON.parse(text.body).context.fields], ["a+b=1", {
      "a b": "1",
    }]);
  });

  Deno.test(`${runtime}: a stream goes out bit by bit, with signs of life`, async () => {
    await using worker = await ready(runtime);
    await worker.send(get("/chunks?n=20"));
    const frames = await framesOf(worker);
    assertEquals(frames.map(({ body }) => body), [
      ...Array.from({ length: 20 }, (_, i) => `chunk ${i + 1};`),
      "",
    ]);
    // The head comes once.
    assertEquals(frames.map(({ options }) => options[0] > 0), [true, ...Array(20).fill(false)]);
    // The sixth asks, and while it is not answered nobody asks again.
    const asking = frames.flatMap(({ bits }, i) => bits & PING ? [i + 1] : []);
    assertEquals(asking, [6]);

    await worker.send(get("/forever"));
    const untilPing = async () => {
      for (let i = 0; i < 1000; i++) if ((await worker.frame()).bits & PING) return;
      throw new Error("nobody asks for a sign of life");
    };
    await untilPing();
    await worker.send(hex(PONG));
    await untilPing();
    await worker.send(hex(STOP));
    await framesOf(worker);
    assertEquals((await worker.ask(get("/hello"))).body, "OK");
  });

  Deno.test(`${runtime}: the first bytes do not wait for the next`, async () => {
    using scratch = new Scratch();
    await using gate = new Fifo(scratch.path("gate"));
    await using worker = await ready(runtime, { GATE: gate.path });
    const first = await worker.ask(get("/gated"));
    assertEquals([first.body, first.bits], ["first", STREAM]);
    gate.release();
    assertEquals((await framesOf(worker)).map(({ body }) => body), ["second", ""]);
  });

  Deno.test(`${runtime}: STOP ends a stream, and the worker goes on`, async () => {
    await using worker = await ready(runtime);
    await worker.send(get("/forever"));
    for (let i = 0; i < 3; i++) assertEquals((await worker.frame()).bits & STREAM, STREAM);
    await worker.send(hex(STOP));
    const last = (await framesOf(worker)).at(-1)!;
    assertEquals([last.flags, last.body], [0x08, ""]);
    await worker.printed(/cancelled after \d+: nobody waits for this answer any more\n/);
    assertEquals((await worker.ask(get("/hello"))).body, "OK");
  });

  Deno.test(`${runtime}: what a handler throws is told, and the worker goes on`, async () => {
    await using worker = await ready(runtime);
    const cases: [string, RegExp][] = [
      ["/throws", /^Error: handler broke\n +at .*http/],
      ["/nothing", /^TypeError: the handler returned undefined, which is no Response/],
      ["/text-stream", /yields string|chunk is not of type|TypeError/],
      ["/nowhere", /^TypeError: routes/],
    ];
    for (const [path, told] of cases) {
      const { flags, options, body } = await worker.ask(get(path));
      assertEquals([flags, options], [0x40, []]);
      assertMatch(body, told);
    }
    assertEquals((await worker.ask(get("/huge-error"))).body.length, 65_536);
    await worker.send(get("/breaks"));
    const [first, last] = await framesOf(worker);
    assertEquals([first.body, first.bits, last.flags], ["first", STREAM, 0x40]);
    assertMatch(last.body, /^Error: the source broke/);
    assertEquals((await worker.ask(get("/hello"))).body, "OK");
  });

  Deno.test(`${runtime}: onError answers instead, but not for ReplaceWorker`, async () => {
    await using worker = await ready(runtime, { ON_ERROR: "1" });
    const { context, body } = await worker.ask(get("/throws"));
    assertEquals([JSON.parse(context).status, body], [500, "sorry: handler broke"]);
    const replace = await worker.ask(get("/replace"));
    // As in the reference, 13.3.
    assertEquals(
      replace.hex,
      "14 00 0d 00 00 00 f3 39 ef db 00 00 0d 00 00 00 7b 22 73 74 6f 70 22 3a 74 72 75 65 7d",
    );
  });

  Deno.test(`${runtime}: a hint goes ahead of the answer`, async () => {
    await using worker = await ready(runtime);
    await worker.send(get("/hints"));
    const [hint, answer] = await framesOf(worker);
    assertEquals([hint.bits, hint.body], [STREAM, ""]);
    assertEquals(JSON.parse(hint.context), {
      status: 103,
      headers: { link: ["</a.css>; rel=preload"] },
    });
    assertEquals([JSON.parse(answer.context).status, answer.body], [200, "hinted"]);
    await worker.printed(/late hint: the request was answered already/);
  });
}

Deno.test("stop in the middle of a request: the answer goes out first", async () => {
  using scratch = new Scratch();
  await using gate = new Fifo(scratch.path("gate"));
  await using worker = await ready("deno", { GATE: gate.path });
  assertEquals((await worker.ask(get("/gated"))).body, "first");
  await worker.send(frame({ flags: 0x09, payload: '{"stop":true}' }));
  gate.release();
  assertEquals((await framesOf(worker)).map(({ body }) => body), ["second", ""]);
  assertEquals(await worker.ended(), 0);
});
